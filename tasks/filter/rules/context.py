"""Rules on what an instruction presumes: an answer of its own, an answerer with a private life, things not there.

Each gives None where the instruction holds and else what was found. Tasks of writing, translation, review and
role play speak of such things with good reason, and hold.
"""

import re
from collections.abc import Sequence
from typing import Any

from kasasagi.tasks.filter.rules.absent import CHOICES, TITLED, is_advice, mentions_in
from kasasagi.tasks.filter.rules.private import WRITES
from kasasagi.tasks.filter.rules.texts import unquoted
from kasasagi.tasks.text.leaks.template_marks import LOOKED_AT
from kasasagi.tasks.text.patterns import lazy_pattern

_LABEL = lazy_pattern(
    r"^[ \t*_#]*(?:(?:correct |final |model |sample )?answer|solution|答え|回答|解答|正解|模範解答)"
    r"[*_]*[ \t]*[:：][*_]*[ \t]*"
    r"(?P<answer>(?!(?:も|を|と)(?:付け|つけ|書|記|添え|入れ|示))\S.*)?",
    re.IGNORECASE | re.MULTILINE,
)
_ONE_QUESTION = lazy_pattern(
    r"\A\s*(?:Q|Question|問|問題|質問)[.:：][^\n]*\n+\s*(?:A|答|解)[.:：][ \t]*(?!\n)\S[^\n]*\s*\Z", re.IGNORECASE
)
_IN_BRACKETS = lazy_pattern(
    r"[(（](?:(?:correct )?answer|ans\.?|答え|正解|解答)[ \t]*[:：][^()（）]+[)）]\s*\Z", re.IGNORECASE
)
_LAST_SENTENCE = lazy_pattern(
    r"[?？][\"”」]?\s+(?:the )?correct answer is [^?？\n]{1,120}\Z"
    r"|[?？][\"”」]?\s+the answer is [^?？\n]{1,120}\Z"
    r"|[?？][」\s]*(?:正解|答え)は[^?？。\n]{1,60}(?:です|である|だ)。?\s*\Z"
    r"|[?？][\"”」]?[ \u3000]*(?:(?:the )?(?:correct )?answer|答え|正解|解答)[ \t]*[:：]"
    r"(?!.*(?: or |/|または|もしくは|…|\.\.))[^?？\n]{1,80}\Z",
    re.IGNORECASE,
)
_ASSISTANT = lazy_pattern(
    r"(?:[.?!][ \t]+|\n[ \t]*)(?P<said>(?:sure|certainly|of course|absolutely)[,!.] +(?:here(?:'s| is| are)\b"
    r"|i(?:'d| would) be (?:happy|glad)\b|i can help\b|let me\b))"
    r"|[。？！\n][ \t\u3000]*(?P<said_in_japanese>(?:もちろんです|承知(?:いた|致)?しました"
    r"|かしこまりました)[。！、])",
    re.IGNORECASE,
)
_REVIEWS = lazy_pattern(
    r"\b(?:grad(?:e|ing)|evaluat|assess|check|review|correct (?:it|any|the)|improv|feedback|rat(?:e|ing)|explain why"
    r"|why is|verify|compar|translat|summari[sz]|rewrit|paraphras|proofread|edit|classif|judge|scor(?:e|ing)"
    r"|format|example)"
    r"|is (?:this|it|that|my answer) (?:right|correct)"
    r"|採点|評価|添削|改善|確認|正しい|合って|間違|見直|理由|翻訳|訳し|要約|比較|校正|修正|判定|分類|形式"
    r"|フォーマット|例を|例:|例：",
    re.IGNORECASE,
)


def answer_inside(text: str) -> str | None:
    """The instruction holds its own answer: behind a label, in brackets at its end, or in an assistant's words.

    An empty label at the end asks for the answer; several labels are worked examples; a task that reviews an answer
    must show it.
    """
    text = text[:LOOKED_AT]
    found = _IN_BRACKETS.search(text) or _LAST_SENTENCE.search(text) or _ONE_QUESTION.search(text)
    found = found or _assistant_speaks(text)
    if found is None:
        labels = list(_LABEL.finditer(text))
        found = labels[0] if len(labels) == 1 and labels[0]["answer"] and text[: labels[0].start()].strip() else None
    if found is None or _REVIEWS.search(text):
        return None
    return f"the answer stands there: {' '.join(found[0].split())[:60]}"


def _assistant_speaks(text: str) -> re.Match[str] | None:
    return _ASSISTANT.search(unquoted(text))


_THING = (
    r"(?:table|text|passage|paragraph|article|image|picture|photo(?:graph)?|graph|chart|figure|diagram|map|screenshot"
    r"|code|snippet|function|document|file|spreadsheet|dataset|data|sentences?|email|essay|poem|story|dialogue"
    r"|conversation|transcript|report|excerpt|quote|recipe|video|audio|review|list|equation|expression|matrix|words)"
)
_BELOW = lazy_pattern(
    rf"\b(?:the|this|these|an?) (?:\w+ )?{_THING} (?:given |shown |provided |listed |presented )?"
    r"(?:below|attached)\b(?! (?:\d|an? |the |it\b|my |your |each |every |another ))"
    rf"|\b(?:the|this) (?:following|attached|enclosed|below) (?:\w+ )?{_THING}\b(?! of\b)"
    rf"|\b(?:the|this) (?:provided|given) (?:text|passage|paragraph|article|image|picture|table|document|excerpt)\b"
    rf"|\b(?:describe|analy[sz]e|summari[sz]e|translate|explain|in|on|from|of|about|edit|proofread) this"
    rf" (?:table|text|passage|paragraph|article|image|picture|photo|graph|chart|diagram|screenshot|code|document"
    r"|video)\b|(?:以下|下記|次|後述|下)の(?:\w{0,4}の)?(?:表(?!現|情|面|示|題|紙)|文章(?!題|力|術)|英文|和文"
    r"|文(?!化|学|明|字|法|章)|図(?!書|形|式)|グラフ(?!理論|ィ)|画像(?!処理|認識|形式)|写真(?!集|家|館)"
    r"|コード(?!レビュー|ネーム)"
    r"|リスト(?!ラ)|一覧|データ(?!ベース|構造|型|サイエンス|分析)|記事|会話(?!に)|段落"
    r"|テキスト|詩|メール|レシピ|数式|式|関数|プログラム)"
    r"|添付(?:の|した|された|しました|ファイル(?:を|の内容)|資料を|画像を)|(?:この|こちらの)(?:画像|写真(?!集|家|館)"
    r"|表(?!現|情|面|示|題|紙|彰|記|明)|グラフ(?!理論|ィ)|図(?!書|形|式|鑑)"
    r"|文章|記事|動画|添付)"
)
_ABOVE = lazy_pattern(
    rf"\b(?:the|this) above (?:\w+ )?{_THING}\b|\b(?:the|this) (?:\w+ )?{_THING} (?:given |shown )?above\b(?! \d)"
    r"|(?:上記|前述|(?<![一-鿿])上)の(?:表|文章|文(?!化|学|明|字)|図|グラフ|画像|コード|リスト|データ|記事|会話|例)",
)
_NAMED = lazy_pattern(
    r"\b(?:according to|based on|refer(?:ring)? to) the (?:passage|excerpt|diagram|graph|chart|figure|picture"
    r"|image)\b"
    r"(?! (?:of|in|on|from) )"
    r"|\b(?:main idea|main point|central idea|theme|tone|mood|purpose|moral|topic sentence) of (?:the|this)"
    r" (?:passage|excerpt|paragraph|text|article)\b(?= *(?:[.?!]|\Z))"
    r"|\A(?:please |can you |could you )?(?:continue|finish|complete) (?:the|this|my) (?:story|poem|sentence|essay"
    r"|paragraph|text|conversation|dialogue|article)(?= *(?:[.?!]|\Z|please\b|for me\b))"
    r"|\b(?:fix|debug|review|check|correct|proofread) (?:(?:the|any|all) (?:bugs?|errors?|mistakes?) in )?"
    r"my (?:code|script|function|program|essay|resume|paragraph|email|letter|homework)"
    r"(?= *(?:[.?!]|\Z|please\b|for me\b))"
    r"|(?<!の)本文(?:の内容に|を読んで|によると)",
)
_EARLIER = lazy_pattern(
    r"\bas (?:we|you|i) (?:discussed|mentioned|said|described|explained) (?:earlier|above|before|previously)\b"
    r"|\b(?:our|my|your) (?:last|previous|earlier) (?:conversation|discussion|session|answer|response|message"
    r"|reply|question)\b"
    r"|(?:先ほど|さきほど|さっき|前回)の(?:回答|質問|会話|説明|文章|メッセージ|返答)"
    r"|(?:\A|[。、\s])前の(?:回答|質問|会話|メッセージ|返答)",
)
_CURRENT = lazy_pattern(
    r"\byour (?:current|latest|last|most recent|ongoing|previous) (?:project|work|research|role|job|company"
    r"|team|position|employer|report|presentation|assignment)s?\b"
    r"|(?:あなた|御社|貴社)の?(?:現在|今|最近|直近)の(?:プロジェクト|業務|研究|仕事|職場|会社|案件)"
    r"|(?:\A|。)現在(?:進行中|取り組んでいる|担当している|参加している)?の?(?:プロジェクト|案件)(?:について"
    r"|の(?:進捗|状況|課題|概要))",
)
_MATERIAL = lazy_pattern(
    r"[:：]\s*\S.{4,}|```|「[^」]{5,}」|『[^』]{5,}』|“[^”]{8,}”|\"[^\"]{8,}\"|'[^'\n]{12,}'|https?://", re.DOTALL
)
_SENTENCE_END = lazy_pattern(r"[.?!](?:\s|\Z)|[。？！\n]")
_STATES = lazy_pattern(r" (?:is|are|was|were|reads?|says?) [^.?!]{4,}\.")
_QUESTION = lazy_pattern(r"questions?\b|質問|問い|設問|問題")
SHORTEST_LINE = 6
ENOUGH_MATERIAL = 40
ENOUGH_MATERIAL_JAPANESE = 14


def missing_context(text: str, messages: Sequence[Any]) -> str | None:
    """The instruction speaks of something that is not there: a table below, an attachment, an earlier talk.

    Something is there where lines, a quotation, code, a link or some sentences stand beside the mention. Later turns
    of a dialogue may speak of what was said before, and tasks of writing of anybody's project.
    """
    if sum(turn["role"] == "user" for turn in messages) > 1:
        return None
    text = text[:LOOKED_AT].strip().lower()
    own = unquoted(text)
    found = _absent(text) or _EARLIER.search(own) or _presumed(text, own)
    if found is None and (found := _CURRENT.search(own)) and WRITES.search(text):
        return None
    return None if found is None else f"speaks of what is not there: {found[0].strip()}"


def _absent(text: str) -> re.Match[str] | None:
    """The first mention of a thing beside which nothing stands, in a text without capitals."""
    mention = _BELOW.search(text)
    if mention and _has_lines(text, mention):
        return None
    if mention and not _MATERIAL.search(text) and not _enough(_behind(text, mention.end())):
        around = text[: mention.start()]
        return None if _enough(around) and "\n" in around else mention
    for mention in filter(None, (_ABOVE.search(text), _named(text))):
        if not _MATERIAL.search(text) and not _enough(text[: mention.start()]):
            return mention
    return None


def _presumed(text: str, own: str) -> re.Match[str] | None:
    """Return the first mention of what the reader should see, remember or choose from, where it is not there."""
    if _MATERIAL.search(text):
        return None
    mentions = mentions_in(own)
    if (thing := mentions.absent.search(own)) and _is_missing(own, thing):
        return thing
    choice = mentions.choice.search(own)
    if choice and _is_missing(own, choice) and not CHOICES.search(own, choice.end()):
        return choice
    if (work := _untitled(text, own)) and _is_missing(own, work):
        return work
    mention = mentions.earlier.search(own) or (None if WRITES.search(text) else mentions.projects.search(own))
    return mention if mention and _is_missing(own, mention) else None


def _is_missing(own: str, mention: re.Match[str]) -> bool:
    return not is_advice(own, mention) and not _has_company(own, mention)


def _untitled(text: str, own: str) -> re.Match[str] | None:
    """Return the mention of a work where the text names no title: 『こころ』を読みました。この小説の主題は何ですか。"""
    return None if own.isascii() or "「" in text or "『" in text else TITLED.search(own)


def _has_company(text: str, mention: re.Match[str]) -> bool:
    """Return whether enough stands before or behind the sentence of a mention to be what it speaks of."""
    if _STATES.match(text, mention.end()):
        return True
    before = max((end.end() for end in _SENTENCE_END.finditer(text, 0, mention.start())), default=0)
    return _enough(text[:before]) or _enough(_behind(text, mention.end())) or _has_lines(text, mention)


def _has_lines(text: str, mention: re.Match[str]) -> bool:
    """Return whether a line beside that of a mention may be the thing: a question is none, unless one is announced."""
    line = text.count("\n", 0, mention.start())
    others = [one.strip() for number, one in enumerate(text.splitlines()) if number != line]
    asks = _QUESTION.search(mention[0]) is not None
    return any(len(one) >= SHORTEST_LINE and (asks or one[-1] not in "?？") for one in others)


def _named(text: str) -> re.Match[str] | None:
    """A mention of a thing that may stand on either side, where nothing stands behind it."""
    mention = _NAMED.search(text)
    return mention if mention and not _enough(_behind(text, mention.end())) else None


def _behind(text: str, start: int) -> str:
    """What follows the sentence that holds a place."""
    end = _SENTENCE_END.search(text, start)
    return text[end.end() :] if end else ""


def _enough(passage: str) -> bool:
    """Whether a passage is long enough to be the thing that was spoken of; lines of a list may be short."""
    passage = passage.strip()
    lines = sum(1 for line in passage.splitlines() if line.strip())
    least = ENOUGH_MATERIAL if passage.isascii() else ENOUGH_MATERIAL_JAPANESE
    return len(passage) >= least or lines > 1
