"""Further orders in a prompt, beside its one task: what they ask for is not checked, so nothing is correct for sure."""

import re
from collections.abc import Callable

_GLUE = frozenset(
    re.findall(
        r"\w+",
        "a all also an and answer answers are as at be but by can contain could do does entire essay exactly for from "
        "give "
        "have has i in is it its just keep kindly letter like limit long make me must need needs no not of only on "
        "or output please provide reply respond response should story so sure text than that the then this to use "
        "using want whole with within would write written you your",
    )
)
"""Words that a sentence has beside a constraint which was recognised in it."""
_MATERIAL = re.compile(
    r"\b(?:texts?|passages?|paragraphs?|articles?|following|below|stor(?:y|ies)|poems?|sentences?|e-?mails?|reviews?"
    r"|abstracts?|code)\b[^.!?\n:]{0,40}:\s.*\Z",
    re.IGNORECASE | re.DOTALL,
)
"""What a prompt gives to work on, behind a colon."""
_CONTEXT = re.compile(
    r"(?:i(?:'m|'ve|\s+(?:am|have|was|had|live|work|study|saw|read|found))|my\s+\w+\s+(?:is|was|has|are)"
    r"|we(?:'re|\s+(?:are|have|were))"
    r"|hi|hello|hey|thanks|thank\s+you|good\s+morning)\b",
    re.IGNORECASE,
)
_VERBS = (
    r"add|address|adopt|answer|ask|avoid|begin|cite|compare|conclude|consider|create|describe|discuss|draw"
    r"|emphasi[sz]e|end|explain|finish|focus|follow|give|greet|highlight|identify|ignore|imagine|include|introduce|leave\s+out|make|mention"
    r"|name|omit|pretend|provide|put|quote|recommend|refer|say|show|sign|skip|suggest|summari[sz]e|tell|translate|try|use|vary|write"
)
_AND_MORE = re.compile(
    rf"(?:[,:]|\b(?:and|but|then|while))\s+(?:(?:then|also|please|finally|always|never|only)\s+)*(?:(?:{_VERBS})"
    r"|(?:keep|list|note|rhyme|state|title)\s+(?:its?|the|an?|one|two|three|your|each|some|all))(?![\w'-])",
    re.IGNORECASE,
)
_AUDIENCE = (
    r"(?:(?:an?|my|the)\s(?:child\w*|kids?|sons?|daughters?|grand\w+|teen\w*|toddlers?|beginners?|students?|class"
    r"|experts?|novices?|lay\w*|young\w*|general|wid\w+|broad\w*|\w+[- ]year)"
    r"|children|kids|beginners|students|adults|experts|people|someone)"
)
_IN_A_MANNER = re.compile(
    r"\b(?:as\s(?:an?|if|though|my)|like\san?|using(?=\s\S)|with\s\w+|no\s\w+|do\s(?:it|so|this)|full\sof|from\s(?:the|a|an|my)\s\w+\sof"
    rf"|for\s{_AUDIENCE}|to\s(?:convince|persuade|impress|entertain|amuse|sell"
    r"|advertise|scare)|tenses?|perspective|point\sof\sview|slang|dialect|accent|iambic|pentameter|haikus?|sonnets?|limericks?|verses?"
    r"|alliterat\w+|metaphors?|similes?|funny|humou?r\w*|sarcas\w+|witty|dramatic|poetic|simple|plain|vivid|engaging|catchy|playful"
    r"|(?!(?:only|exactly|family|italy|early|daily|weekly|monthly|yearly|really|july|reply|supply|apply|likely|holy|assembly|finally"
    r"|kindly|entirely|wholly|monopoly|butterfly|lily|jelly|belly|bully|ally|rally)\b)\w{2,}ly)\b"
    r"|\([^()]*\w|(?:,|\s[-–—])\s*(?:\w+ing|both|each|of|not?|in|on|from|for)\b",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"(?<=[.!?;])(?=\s)|\n")

_GLUE_JA = re.compile(
    r"[\s、,・]|(?:この|その)?(?:回答|答え|返答|文章|説明|全体|内容|応答|出力)(?:は|を|が|も)?|必ず|なお|また"
    r"|(?:答え|回答し|返答し|書い|説明し|まとめ|出力し|述べ|表現し|作成し|要約し|お答え|お願いし|で?し)?"
    r"(?:て|ます)?(?:下さい|ください|なさい|こと)?"
)
_MATERIAL_JA = re.compile(
    r"(?:次|以下|下記)の(?:文章|文|テキスト|記事|段落|話|メール|詩|レビュー|会話)[^。\n]{0,60}[。：:]\s*\n.*\Z",
    re.DOTALL,
)
_CONTEXT_JA = re.compile(r"(?:です|ます|ました|でした|ません|である)(?:が|けど|ね|よ)?\Z")
_AND_MORE_JA = re.compile(
    r"(?:[しきちりみえけせねめれ]|んで|(?<!つい)(?<!おい)(?<!とし)て)、[^。]{0,200}(?:て|で|ください|下さい|なさい|こと)\s*\Z"
)
_IN_A_MANNER_JA = re.compile(
    r"なりきっ|になっ[てた]|つもりで|風[にの]|体言止め|五七五|七五調|比喩|触れ|交え|弁で|口調|語尾|専門用語|なしで|抜きで|向け|っぽく|ながら|を使っ|を用い"
    r"|を避け|に分け|言及|否定文|疑問文|過去形|現在形|対象|トーン|韻|不要|なし|無し|禁止|厳禁"
    r"|[しく楽面白易すや]く、?\s*(?:説明|紹介|書|答|述|教|まとめ|描写|表現|伝え|語)"
)


def further_order(left: str) -> str:
    """Return what an English prompt asks for beside its task; empty where it seems to ask for nothing else.

    Args:
        left: The prompt without the constraints that are recognised in it.
    """
    text = _MATERIAL.sub("", left)
    sentences = [one.strip() for one in _SENTENCE_END.split(text)]
    return _second(sentences, _is_english_order) or _found(text, _AND_MORE, _IN_A_MANNER)


def further_order_ja(left: str) -> str:
    """Return what a Japanese prompt asks for beside its task; empty where it seems to ask for nothing else."""
    text = _MATERIAL_JA.sub("", left)
    sentences = [one.strip() for one in re.split(r"(?<=[。！？!?\n])", text)]
    parts = [one.rstrip("。！!\n ") for one in sentences]
    return (
        _second(parts, _is_japanese_order)
        or next((one for one in parts if _AND_MORE_JA.search(one)), "")
        or _found(text, _IN_A_MANNER_JA)
    )


def _second(sentences: list[str], is_order: Callable[[str], bool]) -> str:
    """Return the second sentence that asks for something."""
    orders = [one for one in sentences if is_order(one)]
    return orders[1] if len(orders) > 1 else ""


def _found(text: str, *patterns: re.Pattern[str]) -> str:
    return next((found[0].strip() for pattern in patterns if (found := pattern.search(text))), "")


def _is_english_order(sentence: str) -> bool:
    if sentence.endswith("?") or _CONTEXT.match(sentence):
        return False
    return bool({*re.findall(r"[^\W_]+", sentence.lower())} - _GLUE)


def _is_japanese_order(sentence: str) -> bool:
    if sentence.endswith(("？", "?")) or _CONTEXT_JA.search(sentence) or re.search(r"(?:です|ます)か\Z", sentence):
        return False
    return bool(_GLUE_JA.sub("", sentence))
