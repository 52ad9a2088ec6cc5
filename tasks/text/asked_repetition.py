"""How often an instruction asks for the same words: "Write hello ten times", a chorus, 「はい」を20回言って。

A number in another place asks for none: "three times of day", "four lines about the sea", 週に3回運動すると.
"""

import math
import re

from kasasagi.tasks.text.patterns import lazy_pattern

_UNITS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen")
_TENS = ("ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety", "hundred")
_WORDS = {
    **{word: float(number) for number, word in enumerate(_UNITS, 2)},
    **{word: 10.0 * number for number, word in enumerate(_TENS, 1)},
    **{
        "fifteen": 15.0,
        "a dozen": 12.0,
        "a hundred": 100.0,
        "thousand": 1000.0,
        "a thousand": 1000.0,
        "a million": 1e6,
    },
}
_KANJI = {sign: number for number, sign in enumerate("一二三四五六七八九", 1)}
_KANJI_SCALES = {"十": 10, "百": 100, "千": 1000, "万": 10000}

_NUMBER = rf"(?P<number{{}}>(?:\d[\d,]*|{'|'.join(_WORDS)}|(?<!how )(?:many|several|multiple|n|x))(?: \(\d+\))?)"
_SAY = (
    r"(?:say|write|type|print|output|display|echo|copy|spell|chant|recite|sing|shout|whisper|scream|repeat|generate"
    r"|produce"
    r"|put|post|send|give me|(?:respond|reply|answer) (?:with|by saying|only with))"
)
_CLAUSE = (
    r"(?:\A|[.!?:,;\n] {0,3}|\bplease |\b(?:can|could|would|will|must|should) you |\b(?:want|need|like|ask|order"
    r"|tell) you to "
    r"|\byou (?:must|should|have to|need to) |\b(?:and|then|just|always|only|now|simply) )(?:please |just |only "
    r"|simply )*"
)
_QUOTED = r"\"[^\"\n]{1,200}\"|“[^”\n]{1,200}”|(?<!\w)'[^'\n]{1,200}'|「[^」\n]{1,200}」"
_TOLD = (
    r"\b(?:about|who|which|how|why|whether|story|essay|poem|article|paragraph|explain|because|if|after|times|lines)\b"
)
_SAID = rf"(?:{_QUOTED}|(?!{_TOLD})[^.?!\n]){{1,120}}?"
_ENDS = (
    r"(?= *(?:[.!?,;:\n)\"”]|\Z)| (?:in a row|and|with|without|on|separated|each|for me|using|please|then|so"
    r"|back to back"
    r"|consecutively|followed|per line|over|below|here|now|as fast|to (?:fill|make|test|show|emphasi[sz]e))\b)"
)
_SAME = (
    r"(?: (?:of|saying|reading|that says?|with|containing|consisting of)"
    r"(?: only| just| the (?:word|phrase|sentence|same \w+))*)"
)
_COUNTED = (
    rf"{_CLAUSE}{_SAY} (?:out )?{_SAID} {_NUMBER.format(1)} (?:more |consecutive )?times{_ENDS}",
    rf"(?:\A|[.!?:;\n] {0, 3}){_NUMBER.format(2)} times(?: in a row)?, ?(?:please )?{_SAY}\b",
    rf"{_CLAUSE}{_SAY} (?:out |me )?{_NUMBER.format(3)} (?:copies of|(?:lines|rows|repetitions){_SAME} ?(?=[\"'“])"
    rf"|(?:lines|rows)"
    r" (?:of|with) the same)",
    rf"\b(?:words?|phrases?|lines?|sentences?|letters?|names?"
    rf"|it)\b[^.?!\n]{{0,20}}\brepeated {_NUMBER.format(4)} times",
)
_UNCOUNTED = (
    rf"{_CLAUSE}repeat\b(?! (?:itself|business|customers?|purchases?|buyers?|visits?|visitors?|sales|offenders?"
    rf"|orders?"
    r"|prescriptions?|infections?|patterns?))",
    rf"{_CLAUSE}{_SAY} {_SAID} (?:over and over|again and again|non-?stop|repeatedly|forever|until i (?:say|tell"
    rf"|stop))",
    rf"{_CLAUSE}{_SAY} (?:(?!\b(?:code|program|python|function|script|java)\b){_SAID}) in a loop\b",
    r"\b(?:write|compose|create|make|generate|use|include|count|find|remove|delete|identify"
    r"|highlight)\b[^.?!\n]{0,60}"
    r"\b(?:repeat(?:ed|ing)\b[^.?!\n]{0,20}\b(?:words?|phrases?|letters?|characters?|lines?|sentences?|strings?"
    r"|texts?)"
    r"|(?:words?|phrases?|lines?|sentences?|strings?)\b[^.?!\n]{0,20}\brepeat)",
    r"\b(?:write|compose|sing|give|create|make|generate|recite|add|show|tell|provide|with|include|what(?:'s| is"
    r"| are) the)\b"
    r"[^.?!\n]{0,80}\b(?:(?:chorus|refrain)\b(?! of (?-i:[a-z](?!he (?:song|hymn|anthem|carol))))|(?:song )?lyrics\b"
    r"|nursery rhyme|mantra)",
)
_ENGLISH = lazy_pattern("|".join(f"(?:{pattern})" for pattern in _COUNTED), re.IGNORECASE)
_ENGLISH_UNCOUNTED = lazy_pattern("|".join(f"(?:{pattern})" for pattern in _UNCOUNTED), re.IGNORECASE)

_ORDER = (
    r"[^。？?\n]{0,8}?(?:ください|下さい|なさい|くれ|ほしい|欲しい|お願い|せよ|しろ|て[。！!]?\s*\Z|[けえせろめ][。！!]?\s*\Z"
    r"|て(?=[。、]))"
)
_SAY_JAPANESE = (
    r"(?:言|いっ|書|出力|表示|入力|打|タイプ|並べ|唱え|叫|連呼|繰り返|くり返|コピー|印刷|プリント|答え|返|歌)"
)
_JAPANESE = lazy_pattern(
    r"(?P<number>[0-9０-９]+|[一二三四五六七八九十百千万]+|何)(?:回|度|遍)(?:も|ずつ|だけ|連続で|続けて|ほど"
    r"|くらい)?、?"
    rf"{_SAY_JAPANESE}{_ORDER}"
    rf"|[」』”\"]を?(?P<lines>[0-9０-９]+|[一二三四五六七八九十百千万]+)(?:行|個|つ)(?:に)?{_SAY_JAPANESE}{_ORDER}"
)
_JAPANESE_UNCOUNTED = lazy_pattern(
    rf"(?:繰り返|くり返|繰返)(?:し(?:て|なさい|{_SAY_JAPANESE}|続け|ます)|せ[。！]?\s*\Z)|連呼(?:し|せ)|(?:繰り返"
    rf"|くり返)(?:され(?:る|た)|した?)"
    r"(?:文字|単語|言葉|文|語)|(?:リフレイン|(?<!ワ)サビ|歌詞)(?!と)(?:を|も|に|の)[^。？?\n]{0,16}(?:書|作|教|歌|考"
    r"|入れ|付け|出力)"
)


def repeats_asked(instruction: str) -> float:
    """Return how often an instruction asks for the same words: 0 where it does not, infinity without a number."""
    counted = [
        _number(found["number1"] or found["number2"] or found["number3"] or found["number4"])
        for found in _ENGLISH.finditer(instruction)
    ]
    counted += [_number(found["number"] or found["lines"]) for found in _JAPANESE.finditer(instruction)]
    if counted:
        return max(counted)
    asks = _ENGLISH_UNCOUNTED.search(instruction) or _JAPANESE_UNCOUNTED.search(instruction)
    return math.inf if asks else 0


def _number(text: str) -> float:
    word = text.lower().partition(" (")[0]
    if word in _WORDS:
        return _WORDS[word]
    digits = word.replace(",", "")
    if digits.isdecimal():
        return float(digits)
    return float(_kanji(text)) if text[0] in _KANJI or text[0] in _KANJI_SCALES else math.inf


def _kanji(text: str) -> int:
    """Return the number of kanji numerals such as 二十 or 百五."""
    total = ones = 0
    for sign in text:
        ones = _KANJI.get(sign, ones)
        if sign in _KANJI_SCALES:
            total, ones = total + max(ones, 1) * _KANJI_SCALES[sign], 0
    return total + ones
