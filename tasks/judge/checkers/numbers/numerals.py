"""Numbers as they are written: digits with separators, fractions, powers of ten, percent, and words."""

import re
from dataclasses import dataclass
from fractions import Fraction

MOST_DIGITS = 60
MOST_POWER = 64
LONGEST_SIGN = 24

_ENGLISH_SCALES = {
    "hundred": 10**2,
    "thousand": 10**3,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
    "dozen": 12,
}
_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
)
_ENGLISH = {word: number for number, word in enumerate([*_ONES.split(), "eighteen", "nineteen"])}
_ENGLISH |= {
    word: 10 * tens
    for tens, word in enumerate(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], start=2)
}
_KANJI = {sign: number for number, sign in enumerate("零一二三四五六七八九")} | {"〇": 0}
_SMALL = {"十": 10, "百": 100, "千": 1000}
_LARGE = {"万": 10**4, "億": 10**8, "兆": 10**12}

_NUMBER_WORDS = "|".join(sorted([*_ENGLISH, *_ENGLISH_SCALES], key=len, reverse=True))
ENGLISH_RUN = re.compile(rf"\b(?:{_NUMBER_WORDS})(?:[\s-]+(?:and\s+)?(?:{_NUMBER_WORDS}))*\b", re.IGNORECASE)
KANJI_RUN = re.compile(rf"[{''.join([*_KANJI, *_SMALL, *_LARGE])}]+")

_GROUPED = r"\d{1,3}(?:,\d{3})+(?!,?\d)(?:\.\d+)?|\d{1,3}(?:[ \u00a0\u202f]\d{3})+(?![\d/]|\s*/)(?:[.,]\d+)?"
_EUROPEAN = r"\d{1,3}(?:\.\d{3})+,\d+|\d{1,3}(?:\.\d{3}){2,}|\d+,\d+"
_PLAIN = r"\d+\.\d+|\d+|\.\d+"
_INT = r"\d+"
TOKEN = re.compile(
    rf"""
    (?P<strange>\d+:\d+(?::\d+)*|\d+/\d+/\d+|\d{{4}}-\d\d?-\d\d?|\d\d?-\d\d?-\d{{4}}|\d+(?:\.\d+){{2,}}(?![\d,])(?<!\d\d\d))
    |(?P<latex>(?:(?P<lwhole>{_INT})\s*)?\\frac\s*(?:\{{\s*(?P<ltop>-?\d+)\s*\}}\s*\{{\s*(?P<lbottom>\d+)\s*\}}
        |(?P<lt>\d)\s*(?P<lb>\d)(?!\d)))
    |(?P<jwhole>{_INT})\s*(?:と|個と)\s*(?:(?P<jbottom>{_INT})分の(?P<jtop>{_INT})|(?P<jt2>{_INT})/(?P<jb2>{_INT}))
    |(?P<ja>(?P<bottom>{_INT})\s*分の\s*(?P<top>{_INT}))
    |(?P<mwhole>{_INT})(?:\s+and\s+|\s+)(?P<mtop>{_INT})\s?/\s?(?P<mbottom>{_INT})
    |(?P<ftop>{_INT})\s?/\s?(?P<fbottom>{_INT})
    |(?P<coefficient>\d+(?:\.\d+)?)\s*[×x·*]\s*10\s*\^\s*\{{?\s*(?P<ten>[-+]?\d+)\s*\}}?
    |(?P<mantissa>\d+(?:\.\d+)?)[eE](?P<exponent>[-+]?\d+)(?![A-Za-z0-9])
    |(?P<base>\d+)\s*\^\s*\{{?\s*(?P<power>-?\d+)\s*\}}?
    |(?P<mixed_ja>(?:\d[\d,]*(?:\.\d+)?[兆億万千百]+)+(?:\d[\d,]*)?)
    |(?P<grouped>{_GROUPED})(?!\d)
    |(?P<european>{_EUROPEAN})(?!\d)
    |(?P<plain>{_PLAIN})
    """,
    re.VERBOSE,
)
_SCALE = re.compile(r"\s*(hundred|thousand|million|billion|trillion|dozen)\b", re.IGNORECASE)
_PERCENT = re.compile(r"\s*(?:%|per\s?cent\b|パーセント)", re.IGNORECASE)
_WARI = re.compile(r"\s*割(?!り)")


@dataclass(frozen=True, slots=True)
class Numeral:
    """A number as a text writes it.

    Attributes:
        value: What it means; None where it is a time, a date or the like, or two numbers for all we know.
        other: What it would mean in a country that separates thousands and decimals otherwise.
        start: Where it begins.
        end: Where it ends, its scale (million) and its percent sign included.
        percent: Whether it is a percentage; its value is then that of the number before the sign.
        written: The text without what is around it.
        decimals: How many decimals it has; None where it is no decimal fraction.
    """

    value: Fraction | None
    other: Fraction | None
    start: int
    end: int
    percent: bool
    written: str
    decimals: int | None = None


def numerals(text: str) -> list[Numeral]:
    """Return the numbers in a text whose signs are plain (see `plain`)."""
    found: list[Numeral] = []
    place = 0
    while (match := TOKEN.search(text, place)) is not None:
        found.append(_numeral(text, match))
        place = max(found[-1].end, match.end())
    return found


def _numeral(text: str, match: re.Match[str]) -> Numeral:
    value, other, decimals = _meaning(match)
    end, factor, percent = match.end(), 1, False
    if scale := _SCALE.match(text, end):
        factor, end = _ENGLISH_SCALES[scale[1].lower()], scale.end()
    if sign := _PERCENT.match(text, end):
        percent, end = True, sign.end()
    elif wari := _WARI.match(text, end):
        factor, percent, end = 10, True, wari.end()
    start, negative = _sign(text, match.start())
    factor = -factor if negative else factor
    value, other = (None if one is None else one * factor for one in (value, other))
    return Numeral(value, other, start, end, percent, text[start:end], decimals)


def _sign(text: str, start: int) -> tuple[int, bool]:
    """Return where a number begins with its sign and its currency, and whether it is negative."""
    begin = max(0, start - LONGEST_SIGN)
    lead = text[begin:start]
    before = re.search(r"(?:(?<![\w)}.])([-+–])\s?)?[$€£¥]?\s?\Z", lead)
    place = begin + before.start() if before and before[0].strip() else start
    sign = before[1] if before else None
    if sign is None and (currency := re.search(r"[$€£¥]\s?([-+])\s?\Z", lead)):
        return begin + currency.start(), currency[1] == "-"
    words = re.search(r"(?:\b(?:minus|negative)\s+|マイナス\s*)\Z", text[begin:place], re.IGNORECASE)
    if words:
        return begin + words.start(), sign not in ("-", "–")
    return place, sign in ("-", "–")


def _meaning(match: re.Match[str]) -> tuple[Fraction | None, Fraction | None, int | None]:
    """Return what a match means here and elsewhere, and its decimals."""
    part = match.groupdict()
    if part["strange"] or len(match[0]) > MOST_DIGITS:
        return None, None, None
    fractions = (
        (part["lwhole"], part["ltop"] or part["lt"], part["lbottom"] or part["lb"]),
        (part["jwhole"], part["jtop"] or part["jt2"], part["jbottom"] or part["jb2"]),
        (None, part["top"], part["bottom"]),
        (part["mwhole"], part["mtop"], part["mbottom"]),
        (None, part["ftop"], part["fbottom"]),
    )
    for whole, top, bottom in fractions:
        if top is not None and bottom is not None:
            return (None if int(bottom) == 0 else int(whole or 0) + Fraction(int(top), int(bottom))), None, None
    powers = (
        (part["coefficient"], "10", part["ten"]),
        (part["mantissa"], "10", part["exponent"]),
        ("1", part["base"], part["power"]),
    )
    for factor, base, power in powers:
        if factor is not None and base is not None and power is not None:
            return _power(Fraction(factor), Fraction(base), int(power)), None, None
    if part["mixed_ja"] is not None:
        return _mixed_ja(part["mixed_ja"]), None, None
    return _digits(part)


def _power(factor: Fraction, base: Fraction, power: int) -> Fraction | None:
    return factor * base**power if abs(power) <= MOST_POWER and (base or power > 0) else None


def _digits(part: dict[str, str | None]) -> tuple[Fraction | None, Fraction | None, int | None]:
    """Return the value of digits with separators: 1,234.5 and 1.234,5 are plain, 1,234 and 1.234 depend on
    the country.
    """
    if (european := part["european"]) is not None:
        written = european.replace(".", "").replace(",", ".")
        value = Fraction(written) if "." in european else None  # 1,5 may be two numbers
        return value, None, len(written.partition(".")[2])
    if (grouped := part["grouped"]) is not None:
        joined = re.sub(r"\s", "", grouped)
        if joined != grouped:
            joined = joined.replace(",", ".")
        other = Fraction(joined.replace(",", ".")) if re.fullmatch(r"\d{1,3},\d{3}", joined) else None
        joined = joined.replace(",", "")
        return Fraction(joined), other, len(joined.partition(".")[2])
    written = part["plain"] or "0"
    other = Fraction(written.replace(".", "")) if re.fullmatch(r"[1-9]\d{0,2}\.\d{3}", written) else None
    return Fraction(f"0{written}"), other, len(written.partition(".")[2])


def _mixed_ja(written: str) -> Fraction:
    """Return the value of digits with Japanese scales: 3万5000, 1億2千万."""
    total, section, number = Fraction(0), Fraction(0), ""
    for sign in written.replace(",", ""):
        if sign in _SMALL:
            section, number = section + Fraction(number or 1) * _SMALL[sign], ""
        elif sign in _LARGE:
            total, section, number = total + (section + Fraction(number or 0)) * _LARGE[sign], Fraction(0), ""
        else:
            number += sign
    return total + section + Fraction(number or 0)


def english_words(text: str) -> Fraction | None:
    """Return the number that English words say, such as twenty-one thousand, None where they say another thing."""
    words = [word for word in re.split(r"[\s-]+", text.strip().lower()) if word != "and"]
    if not words or not all(word in _ENGLISH or word in _ENGLISH_SCALES for word in words):
        return None
    total, section, last = 0, 0, ""
    for word in words:
        if word in _ENGLISH:
            if last in _ENGLISH and not (_ENGLISH[last] >= 20 and _ENGLISH[word] < 10):
                return None
            section += _ENGLISH[word]
        elif word in ("hundred", "dozen"):
            section = max(section, 1) * _ENGLISH_SCALES[word]
        else:
            total, section = total + max(section, 1) * _ENGLISH_SCALES[word], 0
        last = word
    return Fraction(total + section)


def kanji_words(text: str) -> Fraction | None:
    """Return the number that kanji say, such as 三万二千 or 二〇, None where they say another thing."""
    text = text.strip()
    if not text or not all(sign in _KANJI or sign in _SMALL or sign in _LARGE for sign in text):
        return None
    if all(sign in _KANJI for sign in text):
        return Fraction(int("".join(str(_KANJI[sign]) for sign in text)))
    if re.search(rf"[{''.join(_KANJI)}]{{2}}|(?:\A|[万億兆])[万億兆]", text):
        return None
    return _mixed_ja("".join(str(_KANJI.get(sign, sign)) for sign in text))
