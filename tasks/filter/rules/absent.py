"""Mentions of things that a prompt must hold: a picture, a table, a list of choices, an earlier talk, a project.

Each list has patterns of one kind; `rules.context` decides whether the thing stands in the prompt after all.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_PICTURE = r"(?:picture|photo(?:graph)?|image|graph|chart|diagram|figure|map|screenshot|drawing|cartoon)"
_READING = (
    r"(?:passage|article|excerpt|text|paragraph|poem|story|dialogue|conversation|transcript|lecture|report|essay"
    r"|letter)"
)
_SHEET = r"(?:table|spreadsheet|worksheet|dataset|data)"
_CODE = r"(?:code|program|snippet|function|script|query|regex|loop)"
_SPEAKER = r"(?:author|narrator|speaker|writer|poet)"
_ORDINAL = r"(?:first|second|third|fourth|fifth|last|\d+(?:st|nd|rd|th))"
_ENDS = r"(?= *(?:[.?!,;]|\Z))"
_NAMED = r"(?! (?:of|by|from|on|about|in|for|named|called|titled|that|which|who) )"
_CHANGED = (
    r"(?:rewrite|rephrase|translate|summari[sz]e|edit|proofread|correct|analy[sz]e|read|convert|simplify|shorten"
    r"|paraphrase"
    r"|explain|sort|fix|complete|check|improve|format|punctuate|annotate|refactor|debug|review|continue)"
)
_ENGLISH = (
    rf"\bwhat (?:does|did|do|can|could) (?:the|this) (?:{_PICTURE}|{_SHEET}|{_READING}|{_SPEAKER}|sign)s?\b{_NAMED} ?"
    r"(?:show|say|tell|suggest|mean|imply|indicate|depict|describe|reveal|think|argue|believe|want|compare)",
    rf"\A(?:in|from|looking at|based on|using) (?:the|this) (?:{_PICTURE}|{_SHEET}|{_READING})(?: above| below)?,",
    rf"\b(?:is|are|was|were|appears?|shown|see|seen|depicted|standing|sitting|written|mentioned|described|stated"
    rf"|there|happening"
    rf"|find) (?:in|on|from) (?:the|this) (?:{_PICTURE}|{_READING}){_ENDS}",
    rf"\b(?:in|of) the {_ORDINAL} (?:row|column|paragraph|stanza|picture|image|line)\b(?: (?:of"
    rf"|in) the {_SHEET})?{_ENDS}",
    rf"\bthe {_ORDINAL} (?:row|column) (?:in|of) the {_SHEET}{_ENDS}",
    rf"\baccording to the (?:{_SPEAKER}|{_READING}|{_PICTURE}|{_SHEET}|survey|recording|video)\b{_NAMED}",
    r"\b(?:underlined|highlighted|bold(?:ed|faced)?|italici[sz]ed) (?:word|phrase|part|sentence|section|text)s?\b"
    r"|\b(?:word|phrase|part)s? in (?:bold|italics)\b|\bin this (?:sentence|paragraph|passage|excerpt)\b",
    rf"\A(?:please |can you |could you |now )*{_CHANGED} (?:the|this|these|my) (?:following )?(?:{_READING}"
    rf"|{_CODE}|{_PICTURE}"
    rf"|sentences?|words?|list|table|numbers|phrases?|statements?|e-?mail|equation|document|expression)"
    rf"(?= *(?:[.?!,;]|\Z)| (?:in|into|to|for|so|alphabetically|by|using|and|as|with|please)\b)",
    r"\b(?:check|grade|correct|review|proofread|edit|improve|mark|evaluate|look (?:at|over)|fix|polish"
    r"|debug) my (?:\w+ )?"
    r"(?:answers?|essay|code|translation|solution|grammar|writing|work|letter|resume|cv|paragraph|sentences?"
    r"|email|draft|homework"
    rf"|script|function|program|poem|story){_ENDS}",
    rf"\b(?:of|does|is|will|can|about|why|what|with|in|on|for|did) this {_CODE}\b"
    rf"|\b(?:describe|explain|about|with|in|of|from) this {_PICTURE}\b",
    r"\blisten to (?:the|this) (?:recording|audio|conversation|dialogue|lecture|passage|speaker|clip)\b"
    r"|\bwatch (?:the|this) (?:video|clip"
    r"|film)\b(?! (?:of|by|about))|\blook (?:carefully )?at (?:the|this|these) (?:\w+ )?(?:maps?|pictures?"
    r"|photos?|images?|graphs?|charts?"
    rf"|tables?|diagrams?)\b{_NAMED}|\b(?:information|data|words|facts) (?:in|from|given in"
    rf"|shown in) the (?:{_SHEET}|{_READING}"
    rf"|{_PICTURE}|box)\b{_NAMED}",
    r"\b(?:the|this) following (?:json|xml|yaml|csv|html|sql|schema|statements?|options|questions?|numbers"
    r"|phrases?|terms|problems?"
    r"|exercises?|dialogue|log|config(?:uration)?)\b",
)
_CHOICE_ENGLISH = (
    r"\bwhich (?:one )?of (?:the following|these|the above|the options)\b",
    r"\b(?:choose|select|pick|circle|underline|mark|tick) (?:the|one|an?) (?:\w+ )?(?:answer|option|word|form"
    r"|verb|choice"
    r"|alternative|response|preposition|tense|statement)\b",
    r"\bfill (?:in|out) (?:the|each) (?:missing |empty )?(?:blanks?|gaps?|words?|spaces?)\b|\bmatch (?:the"
    r"|each) (?:\w+ )?(?:words?|items?"
    r"|terms?|columns?|pictures?|sentences?|halves|definitions?)\b|\b(?:true or false|put|arrange|order) (?:the"
    r"|these) (?:words|sentences"
    r"|events|statements)\b",
)
_EARLIER_ENGLISH = (
    r"\b(?:our|the|this) (?:discussion|conversation|chat) (?:so far|above|until now)\b|\bwhat did you mean (?:by"
    r"|when)\b"
    r"|\bas you (?:just )?(?:said|mentioned|suggested)\b|\byou just (?:said|mentioned|gave|wrote)\b"
    r"|\A(?:thanks|thank you|great|ok(?:ay)?|perfect|nice)?[!.,]? ?(?:now |please |can you "
    r"|could you )*(?:make it|rewrite it|translate it"
    r"|shorten it|summarize it|explain it|say it) ?(?:a (?:bit|little) )?(?:\w+er|more|less|again|in|into|to|for"
    r"|as|using|better|and)?\b"
    r"|\b(?:explain|elaborate on|expand on|repeat|clarify|rewrite|revise) (?:step|point|item|part|number"
    r"|question|section|option|tip)"
    r" (?:\d+|one|two|three|four|five)\b"
    r"|\A(?:please )?(?:continue|go on|keep going|try again|more|another one|one more)(?: please)?[.!]?\Z"
)
_PROJECT_ENGLISH = (
    r"\b(?:the|our|your|this) (?:\w+ )?(?:ongoing|current|present) (?:\w+ )?projects?\b(?! manag)"
    r"|\bprojects? (?:that |which )?(?:you(?:'re| are| have been)|we(?:'re| are)) (?:currently |now )?(?:working"
    r"|involved|engaged|doing)"
)

_SOME_ENGLISH = re.compile(r"[a-z]{2,} [a-z]{2,} [a-z]")

_JA_SEEN = r"(?:グラフ|表|図|写真|画像|イラスト|絵|地図|動画|映像|資料|本文|文章|長文|英文|会話|対話|音声|記事)"
_JA_START = r"(?:\A|[。！？?\n、]|次の|以下の|下の|上の|この|その|問題の)"
_JAPANESE = (
    rf"{_JA_START}(?:{_JA_SEEN})から(?:読み取|分か|わか|言え)|{_JA_START}(?:写真|画像|イラスト|絵|図|地図"
    rf"|グラフ)(?:の中|の人|に(?:写|描|示|あ))",
    rf"{_JA_START}{_JA_SEEN}を(?:見て|読んで|聞いて|聴いて|参考に(?:して)?|もとに(?:して)?)、?[^。]{{0,20}}"
    r"(?:答え|問い|設問|質問|述べ|選び|選ん|なさい|まとめて|説明して|感想)",
    rf"{_JA_START}表の(?:第)?[0-9０-９一二三四五六]+(?:列|行)|{_JA_START}(?:本文|文章|記事|資料|グラフ"
    rf"|表)(?:に(?:よると|よれば|は)|では|の内容)"
    r"[^。]{0,25}(?:か|なさい|ですか|ますか)",
    r"(?:\A|[。！？?\n、])(?:この)?(?:筆者|作者|著者|話者)(?:が|の|は|によ)",
    r"(?:下線|傍線|太字|波線)(?:部|の(?:部分|語|言葉|単語))|(?:空欄|空所|空白|括弧|カッコ|かっこ|□)(?:の中|内"
    r"|部分)?に(?:入る|当てはま|あてはま|適|最も|言葉|語)",
    r"(?:この|こちらの|次の|以下の)(?:文(?![化学明字脈献豪房庫具])章?|英文|和文|コード|プログラム|関数"
    r"|スクリプト|段落|詩|方程式|数式|メール文|リスト)(?:を|の|に|が|は|で)",
    r"(?:私|僕|わたし|自分)の(?:[^。、]{0,6})(?:作文|回答|解答|答え|文章|コード|レポート|履歴書|英文|論文"
    r"|志望動機|訳|翻訳|詩|小説)を"
    r"|(?:\A|[。\n])(?:作文|解答|コード|レポート|英文|文章)を(?:添削|採点|校正|レビュー|チェック|修正)して",
)
_CHOICE_JAPANESE = (
    r"(?:次|以下|下|上)の(?:うち|中|選択肢|語群)[^。]{0,20}(?:から|で|のうち|どれ|正しい|適切)"
    r"|選択肢(?:の中)?から[^。]{0,15}(?:選|答え)",
)
_EARLIER_JAPANESE = (
    r"(?:さっき|さきほど|先ほど|先程|先日|前回|昨日)の(?:話|会議|議事録|件|続き|答え|説明|打ち合わせ|内容"
    r"|やり取り|例|案)"
    r"|(?:\A|[。！\n])(?:では|じゃあ|それでは|ありがとう[^。]{0,8}。)?(?:それ|これ|あれ|その文"
    r"|その文章)を(?:もっと|もう少し|さらに|もう一度|短く|簡単|英語|表に|箇条書き"
    r"|要約|続け|書き直|訳し)"
    r"|\A(?:もっと|もう少し|もうすこし|さらに)(?:詳しく|短く|簡単に|簡潔に|わかりやすく|分かりやすく|具体的に"
    r"|長く|丁寧に)[^。、]{0,6}(?:説明|教え|書|し|お願い|述べ)"
    r"|\A(?:手順(?![0-9０-９])|ステップ|項目|ポイント|その)[0-9０-９一二三四五](?:つ目)?(?:を|について)|(?:\A"
    r"|[。\n])(?:この|その|話の)?続きを(?:お願い|書い|教え|話|作)"
)
_PROJECT_JAPANESE = (
    r"(?:進行中|進行している|取り組んでいる|取り組まれている|担当している|担当されている|関わっている"
    r"|参加している|参加されている|進めている|携わっている)の?"
    r"(?:プロジェクト|案件|研究|業務)|(?:\A|[。、])(?:今回|本|当|現在|今|この|現|弊社|御社"
    r"|貴社)の?プロジェクト(?:の|について|で|は|に)"
)


@dataclass(frozen=True, slots=True)
class Mentions:
    """Patterns of the mentions in a text without capitals, by kind."""

    absent: re.Pattern[str]
    """A thing that must stand somewhere in the prompt."""
    choice: re.Pattern[str]
    """A choice among things that must be named."""
    earlier: re.Pattern[str]
    """Something that was said before."""
    projects: re.Pattern[str]
    """A project that the reader is supposed to know."""


def _any_of(patterns: Sequence[str]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns))


_IN_ENGLISH = Mentions(
    _any_of(_ENGLISH), _any_of(_CHOICE_ENGLISH), _any_of([_EARLIER_ENGLISH]), _any_of([_PROJECT_ENGLISH])
)
_IN_JAPANESE = Mentions(
    _any_of(_JAPANESE), _any_of(_CHOICE_JAPANESE), _any_of([_EARLIER_JAPANESE]), _any_of([_PROJECT_JAPANESE])
)
_IN_BOTH = Mentions(
    _any_of([*_JAPANESE, *_ENGLISH]),
    _any_of([*_CHOICE_JAPANESE, *_CHOICE_ENGLISH]),
    _any_of([_EARLIER_JAPANESE, _EARLIER_ENGLISH]),
    _any_of([_PROJECT_JAPANESE, _PROJECT_ENGLISH]),
)


def mentions_in(text: str) -> Mentions:
    """Return the patterns for a text: of one language alone where the other cannot be there, which is quicker."""
    if text.isascii():
        return _IN_ENGLISH
    return _IN_BOTH if _SOME_ENGLISH.search(text) else _IN_JAPANESE


ADVICE = re.compile(
    r"\bhow (?:do|does|did|can|could|should|would|to|might|long|often)\b|\b(?:tips?|ways?|advice|steps|methods?"
    r"|techniques?) (?:for|to|on)\b"
    r"|\bbest way\b|\bwhat (?:is|are) (?:a|an)\b"
    r"|方法|コツ|やり方|仕方|しかた|書き方|作り方|読み方|使い方|手順|観点|基準|秘訣|注意点|ポイントは|どうすれば"
    r"|どうしたら|には[？?]?\s*\Z|ときの|際の|力を"
)
"""Words of a question about how something is done at all."""
CHOICES = re.compile(
    r",|;| or |\bbetween\b|、|か、|_{2,}|＿{2,}|\.{3,}|…|[①②③]|(?:^|\s)[a-dａ-ｄア-エ][).．）]", re.MULTILINE
)
"""What stands in a question that names its choices."""
