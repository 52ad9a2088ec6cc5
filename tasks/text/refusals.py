"""Refusals: short answers that open with words that the assistant cannot or will not do what was asked.

They stand at the beginning, alone or behind a lead ("I'm sorry, but", "As an AI,", "申し訳ありませんが、"). Behind a
lead many verbs tell a refusal; without one only those that a person or a figure in a story hardly uses of themselves.
"""

import re

REFUSAL_CHARS = 800
REFUSAL_CHARS_JAPANESE = 400
OPENING_CHARS = 300
ASKED_CHARS = 4000
MORE_THAN_A_REFUSAL = 300

_NOT = r"(?:can ?not|can't|could not|couldn't|won't|will not|shouldn't|should not)"
_LACKS = (
    r"(?:(?:do not|don't) (?:currently )?(?:have|possess) (?:the (?:ability|capability|capacity|means|tools) to"
    r"|any way to"
    r"|(?:a )?way to|permission to))"
)
_UNABLE = (
    rf"(?:i (?:really |simply |just |also |sadly |personally |currently |therefore )*(?:{_NOT}|{_LACKS}"
    r"|(?:must|have to|need to|am going to have to|'ll have to|will have to) (?:respectfully )?(?:decline|refuse) to"
    r"|(?:do not|don't) (?:feel comfortable|think i (?:should|can)|want to))"
    r"|(?:i am|i'm) (?:really |simply |also |sadly |currently |just )*(?:not (?:currently )?(?:able to|going to"
    r"|willing to"
    r"|allowed to|permitted to|programmed to|designed to|equipped to|capable of|comfortable(?: with)?|in a position to)"
    r"|unable to|incapable of)"
    r"|(?:i'd|i would) (?:prefer|rather) not(?: to)?)"
    r" (?:(?:be able to|in good conscience|directly|actually|really|ethically) )*"
)
_SERVES = (
    r"(?:(?:help|assist)(?:ing)?(?: (?:you|anyone|anybody))? (?:with|in|to|by|on|harm|hurt|write|make|create|do|plan)\b"
    r"|(?:provid|fulfil|creat|generat|produc|reproduc|display|brows|facilitat|condon|endors)"
    r"(?:e|l|ll|ing)? (?!for my|a life|the life)"
    r"|(?:comply|assist)\b(?! each| her| him)|(?:participat|engag)(?:e|ing) in\b|access(?:ing)? (?:the internet"
    r"|external|links?|urls?"
    r"|websites?|files?|real|current|your|live|any)|(?:give|offer|giving|offering)(?: you)? (?:\w+ )?(?:advice"
    r"|diagnos|guidance"
    r"|instructions|opinion|recommendations?|information|personal)|(?:writ|mak|rank|rat|compos)(?:e"
    r"|ing)? (?:\w+ ){0,2}(?:threat"
    r"|joke|insult|hate|content|something|racis|sexis|explicit|slur|people|that|this|such)"
    r"|pretend(?:ing)? to (?:have no|be "
    r"without|not have)|(?:help|assist)(?:ing)?(?: you)?(?= *[.!?]|\Z)|respond to (?:that|this)"
    r"|(?:discuss|support|encourag|promot)(?:e|ing)? (?:that|this|such|harmful|illegal|violen|any|content|hat)"
    r"|(?:answer|do) (?:that|this|your) (?:request|question|prompt|task)|view(?:ing)? (?:images?|attachments?"
    r"|files?|photos?"
    r"|pictures?)|see(?:ing)? (?:images?|attachments?|the (?:image|photo|picture|attachment)))"
)
_ACT = (
    r"(?:help|assist|provid|fulfil|comply|answer|respond|writ|creat|generat|produc|reproduc|do|support|engag"
    r"|discuss|giv"
    r"|shar|offer|complet|continu|participat|recommend|promot|encourag|condon|facilitat|advis|tell|predict|access|brows"
    r"|view|display|see|show|draw|sing|play|feel|love|diagnos|prescrib|make|making|hold|express|form|pretend|reveal"
    r"|disclos|endors|take sides|look up|open|speculat|say who|state|describ|explain|translat|know|choos|vot|experienc"
    r"|physically|process|listen|watch|hear audio)(?:l|e|l?ing)?\b"
)
_REGRET = (
    r"(?:(?:i'm|i am) (?:very |so |really |truly |deeply )*(?:sorry|afraid)(?: that| to hear| you)?\b[^.,;!?—-]{0,60}"
    r"|sorry|my apologies|i (?:sincerely |do )?apologi[sz]e\b[^.,;!?]{0,60}|regrettably|sadly|unfortunately|no|nope"
    r"|thank you for (?:asking|your \w+)|thanks for [^.,;!?]{0,40})"
)
_IDENTITY = (
    r"(?:(?:as|being) (?:an? |your )?(?:\w+[- ]){0,3}?(?:ai|artificial intelligence|language model|assistant"
    r"|chatbot)\b[^.,;!?]{0,60}"
    r"|(?:i am|i'm) (?:just |only |simply )*an? (?:\w+[- ]){0,3}?(?:ai|artificial intelligence|language model"
    r"|chatbot)\b"
    r"[^.,;!?]{0,40}"
    r"|(?:i am|i'm) not an? (?:\w+ )?(?:doctor|physician|lawyer|attorney|professional|therapist|expert"
    r"|financial advis[oe]r"
    r"|medical professional|human|person)\b[^.,;!?]{0,40})"
)
_REASON = (
    r"(?:(?:for|due to|because of|out of respect for|in order to|to) (?:\w+ )?(?:privacy|safety|legal|ethical"
    r"|copyright|security"
    r"|protect|respect|avoid|prevent|policy)\b[^.,;!?]{0,60}"
    r"|(?:while |although |though |even though )?i (?:do )?(?:understand|appreciate|realize|recognize|respect"
    r"|know|see why)\b"
    r"[^.;!?]{0,100}?)"
)
_LEAD = rf"(?:{_REGRET}|{_IDENTITY}|{_REASON})"
_LINK = r"[,.:;!—–-]*\s+(?:(?:but|however|so|and|yet|that|therefore|unfortunately|i'm afraid|as such),?\s+)*"
_PLAIN_REFUSAL = (
    rf"{_UNABLE}{_SERVES}"
    r"|i (?:must|have to|need to|will have to|am going to have to) (?:respectfully |politely )?(?:decline"
    r"|refuse)\b(?! the (?:invitation|offer))"
    r"|(?:this|that|your|the) request (?:goes against|violates|is against|conflicts with)\b"
    r"|(?:\w+ ){0,6}(?:goes?|would go|is|are|would be|violates?|would violate) (?:against )?my (?:guidelines"
    r"|principles|policy|policies"
    r"|programming|values)\b"
    r"|(?:my|openai's|our) (?:\w+ )?(?:guidelines|principles|programming|policy|policies) (?:do not|don't"
    r"|does not|doesn't|prohibit"
    r"|prevent|forbid|won't|will not)\b"
    r"|it (?:would be|is|isn't|is not|would not be|wouldn't be) (?:inappropriate|unethical|appropriate|ethical"
    r"|irresponsible"
    r"|responsible|right|wrong) for me to\b"
    r"|(?:that|this)(?:'s| is| isn't|'s not| is not) (?:not )?(?:something|a (?:request|topic|task"
    r"|question)) (?:that |which )?i"
    r"(?:'m not|'m unable| am not| am unable| can ?not| can't| won't| will not)"
    rf"|{_IDENTITY},? (?:and |so )?(?:i )?(?:therefore )?(?:do not|don't|can ?not|can't|am not|have no|lack)\b"
    r"(?! have feelings[^.]{0,20}, but)"
    r"|i (?:do not|don't) (?:currently )?have (?:real-time|access to|up-to-date|live|personal (?:opinions?"
    r"|beliefs?|experiences?"
    r"|preferences|views|feelings)|(?:the )?ability to (?:access|browse|view|predict|see|open|look))"
    r"|i (?:do not|don't) (?:hold|have|form|possess) (?:any )?(?:personal|political) (?:opinions?|beliefs?"
    r"|views?|preferences)"
    r"|i have no (?:access to|way (?:of|to) (?:access|know|see|view))"
)
_REFUSAL = re.compile(
    rf"(?:{_LEAD}{_LINK}){{0,2}}(?:{_PLAIN_REFUSAL})"
    rf"|(?:{_LEAD}{_LINK}){{1,2}}{_UNABLE}{_ACT}(?! but\b)"
    rf"|(?:{_LEAD}{_LINK}){{1,2}}(?:that|this)(?:'s| is)(?: not|n't)? (?:something|anything) (?:that )?i\b"
)
_OPENS_SOFTLY = re.compile(
    r"\A(?:i understand|i'm (?:so |really |very |truly )*sorry|i am (?:so |really |very |truly )*sorry|while i "
    r"|it sounds like|i know )"
)
_GOES_ON = re.compile(
    r"\A[^.\n]{0,160}[,;] (?:but|however,?) (?:here|i can|i could|i'd be happy|i'm happy|i am happy|let me)\b"
)
_ASKS_FOR_REFUSAL = re.compile(
    r"translat|paraphras|rephras|rewrit|declin|turn(?:ing)? down|refus(?:al|ing)|apolog|\bsay no\b"
    r"|what (?:an? )?(?:ai|assistant|chatbot)"
    r"|翻訳|訳し|訳せ|英訳|和訳|断り|断る|お詫び|謝罪|言い換え|書き換え|敬語|返信|返事|台詞|セリフ|例文|文例|言い方",
    re.IGNORECASE,
)

_SERVES_JAPANESE = (
    r"(?:手伝|お答え|お応え|お教え|作成|生成|執筆|ご?協力|お伝え|加担|助言|アドバイス|お力に?|お示し|お見せ"
    r"|差し上げ|沿い|添い)"
)
_DEALS_JAPANESE = (
    r"(?:応え|答え|回答|応答|教え|提供|支援|サポート|ご?案内|アクセス|力に|対応|応じ|ご?紹介|診断|開示|共有|書)"
)
_INFLECTED = (
    r"(?:する|い|え|を|は|が|に|も|こと|いたし|致し|し|して|差し上げ|行う|行なう|さしあげ|られ|け|てあげ|お|ご"
    r"|頂|いただ)"
)
_CANNOT_JAPANESE = (
    r"(?:でき(?:ない|ません|かね)|出来(?:ない|ません|かね)|かね(?:ます|る)|られません|れません|なれません"
    r"|けません|えません"
    r"|(?:差し|さし)?控え|お断り|ご遠慮)"
)
_REFUSES_JAPANESE = (
    rf"{_SERVES_JAPANESE}{_INFLECTED}{{0,5}}{_CANNOT_JAPANESE}"
    r"|お断り(?:いた|致)?し(?:ます|ております)|(?:差し|さし)?控え(?:させて|ます)|(?:いた|致|でき)?しかねます"
    r"|できかねます|沿いかね"
    r"|立場に(?:は)?(?:あり|ござい)ません|(?:意見|考え|感情|見解)(?:を|は)(?:持って(?:い|おり)?ません|持ちません"
    r"|持たな|持ち合わせ)"
)
_SEES_JAPANESE = (
    r"(?:見る|閲覧|取得|予測|描|表示|判断|把握|確認|開く|再生|聞く|聴く|参照|検索|知る|実行|送信|歌|特定|推薦"
    r"|推奨|選|評価|コメント|お話し|申し上げ)"
    r"[^。\n]{0,10}(?:でき(?:ない|ません|かね)|かね(?:ます|る)|けません|えません|れません)"
)
_LEAD_JAPANESE = (
    r"(?:大変|誠に|まことに)?(?:申し訳|もうしわけ|すみません|すいません|ごめんなさい|恐れ入り|恐縮|残念(?:です"
    r"|ながら)|あいにく)"
    r"|(?:私は|わたしは|当方は|こちらは)?(?:AI|人工知能|言語モデル)|(?:私|わたし)は[^。\n]{0,20}(?:ではな"
    r"|ではありません|ので|ため)"
    r"|(?:その|この|ご|そういった|そのような|こうした)[^。\n、]{0,14}(?:質問|要望|依頼|リクエスト|要求|内容|情報"
    r"|行為|文章|表現|画像|話題)"
    r"|リアルタイム|外部の|最新の(?:情報|ニュース)|法律の専門家|医師ではな|医療の専門家"
)
_REFUSAL_JAPANESE = re.compile(rf"(?P<before>[^「『\n]{{0,80}}?)(?:{_REFUSES_JAPANESE})")
_LED_REFUSAL_JAPANESE = re.compile(
    rf"(?:{_LEAD_JAPANESE})[^「『\n]{{0,80}}?"
    rf"(?:{_REFUSES_JAPANESE}|{_DEALS_JAPANESE}{_INFLECTED}{{0,5}}{_CANNOT_JAPANESE}|{_SEES_JAPANESE})"
)
_ABOUT_A_THING_JAPANESE = (
    r"(?:この|その|当|本)[^、。は]{0,12}(?:質問|依頼|要望|リクエスト|要求|内容|情報|行為|件|話題|画像|文章)"
)
_OF_OTHERS_JAPANESE = re.compile(
    r"(?:店|館|施設|会社|企業|多く|人|者|彼|彼女|犬|猫|鳥|動物|子ども|場合|版|プラン|アプリ|ソフト|機種|製品"
    r"|商品|サービス)(?:は|が|では|で|には)"
    rf"|(?!{_ABOUT_A_THING_JAPANESE})(?:この|その|当|本)[^、。]{{1,12}}は"
)


def refusal_in(instruction: str, content: str) -> str | None:
    """Return the opening of an answer that refuses, or None.

    A refusal is rather short; one in an answer to a task of writing, translating or declining is none.
    """
    if len(content) > REFUSAL_CHARS:
        return None
    opening = content[:OPENING_CHARS].lstrip("*_# \n\t　").replace("’", "'")
    if not _refuses_in_english(opening.lower(), len(content)) and not _refuses_in_japanese(opening, len(content)):
        return None
    return None if _ASKS_FOR_REFUSAL.search(instruction[:ASKED_CHARS]) else opening


def _refuses_in_english(opening: str, length: int) -> bool:
    """Return whether the first sentence refuses, or the second one behind words of sympathy.

    "I don't have opinions, but here is what both sides say" is none where an answer follows.
    """
    if length > MORE_THAN_A_REFUSAL and _GOES_ON.search(opening):
        return False
    if _REFUSAL.match(opening):
        return True
    rest = re.split(r"(?<=[.!])\s+", opening, maxsplit=1)
    return len(rest) > 1 and _OPENS_SOFTLY.match(opening) is not None and _REFUSAL.match(rest[1]) is not None


def _refuses_in_japanese(opening: str, length: int) -> bool:
    if length > REFUSAL_CHARS_JAPANESE:
        return False
    return any(_is_refusal_in_japanese(sentence) for sentence in opening.split("。")[:2])


def _is_refusal_in_japanese(sentence: str) -> bool:
    if _LED_REFUSAL_JAPANESE.match(sentence):
        return True
    found = _REFUSAL_JAPANESE.match(sentence)
    return found is not None and not _OF_OTHERS_JAPANESE.search(found["before"])
