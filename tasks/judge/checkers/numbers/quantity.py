"""A quantity: the one number that a text gives, with its unit."""

import re
from dataclasses import dataclass
from fractions import Fraction

from kasasagi.tasks.judge.checkers.numbers.beside import CHANGES, SCALE_SIGNS
from kasasagi.tasks.judge.checkers.numbers.japanese import unit_behind
from kasasagi.tasks.judge.checkers.numbers.numerals import Numeral, english_words, kanji_words, numerals
from kasasagi.tasks.judge.checkers.numbers.units import UNITS, Unit, unit_of
from kasasagi.tasks.judge.checkers.plain import plain, without_latex

MOST_WORDS = 14
LONGEST = 500


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with its unit.

    Attributes:
        value: The number; for a percentage the number before the sign.
        other: Its value if the separators were those of another country.
        unit: The unit or the counted thing as it is written; empty if there is none.
        percent: Whether it is a percentage.
        decimals: The number of written decimals; None for a fraction or a power.
        is_reduced: Whether it is a fraction in lowest terms, or not a fraction.
    """

    value: Fraction
    other: Fraction | None = None
    unit: str = ""
    percent: bool = False
    decimals: int | None = None
    is_reduced: bool = True

    @property
    def known_unit(self) -> Unit | None:
        """The unit, if it is one that can be converted."""
        return unit_of(self.unit)


class NotAQuantity(ValueError):
    """A text that does not give one number for sure."""


_SUBJECT = re.compile(
    r"\A\s*(?:(?:is|are|was|were|divides|has|have|can)\b(?!\s+the\s+(?:final\s+|correct\s+)?(?:answer|total|result|solution))"
    r"|[ap]\.?m\b|o'clock|は)",
    re.IGNORECASE,
)
"""Behind a number: it is what a sentence speaks of, or a time of the day."""
_OF_VARIABLE = re.compile(
    r"\A(?:[A-Za-z]{2,}[,:]?\s+)*[A-Za-z]\s+(?:is|equals|must\s+be)\s+(?:equal\s+to\s+)?(?=\S)", re.IGNORECASE
)
_LEADS = re.compile(
    r"\b(?:a|an|the|that|there|are|is|be|equals?|equal|to|about|approximately|around|exactly|only|just|simply|therefore|so|thus"
    r"|hence|in|total|altogether|all|we|she|he|it|they|has|have|had|gets?|needs?|pays?|costs?|spends?|makes?|earns?|will"
    r"|final|answer|value|sum|number|amount|result|of|given|by|product|difference|quotient|average|mean|probability|area"
    r"|volume|perimeter|length|width|height|distance|speed|price|cost|age|x|y|z|n|minus|negative|positive)\b"
    r"|約|合計|合わせて|全部|その|ちょうど|およそ|つまり|すなわち|マイナス|プラス|[はでと、の]|[^\w]",
    re.IGNORECASE,
)
"""What can precede a number that is stated as the answer."""
_OPERATORS = re.compile(r"[+*/^<>√π∞±≤≥≠~〜→|!_\\{}×÷·≡∝∑∫]|(?<=\S)\s*[-–:]\s*(?=\S)")
_VARIABLE = re.compile(r"(?<![A-Za-z])(?!(?:[aAI]|[mgLlhst])(?![A-Za-z]))[A-Za-z](?![A-Za-z])")
_NAMES = "|".join(sorted(map(re.escape, UNITS), key=len, reverse=True))
_UNIT = re.compile(
    rf"\s*(?P<unit>(?:(?:{_NAMES})s?(?![A-Za-z])|[A-Za-z]+)[²³]?(?:\s*(?:/|per)\s*[A-Za-z]+)?(?![A-Za-z])"
    r"|[a-z]+)"
)
_UNKNOWN = re.compile(
    r"(?<![A-Za-z])[A-Za-z](?![A-Za-z])\s*[-+*/^×·÷]|[-+*/×·÷\d]\s*(?<![A-Za-z])[B-Zb-z](?![A-Za-z])|[|√±]|\\(?:sqrt|log|ln|sin|cos|tan)"
)
_SQUARED = re.compile(r"(?<![A-Za-z])([mck]?m|in|ft|yd|mi)\s*\^\s*\{?([23])\}?")
_CURRENCY = re.compile(r"[$€£¥]")
_JAPANESE = re.compile(r"[ぁ-んァ-ヶー一-鿿]")
_STRANGE = re.compile(r"[^\w\s,.;:()\[\]\"'“”‘’「」『』、。&@#$€£¥°✅✓✔∴-]|\A[^\W\d_A-Za-zぁ-んァ-ヶー一-鿿]")
"""A sign that may change a number, such as ▲ or an overline, or a letter of another script behind it."""
_CUT_OFF = re.compile(r"\d\s*(?:\.{2,}|…)|\d['\"](?!\w)")
"""Decimals that go on, feet and inches."""
_WORDS_NUMBER = re.compile(
    r"\b(?:zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|(?:thir|four|fif|six|seven|eigh|nine)teen"
    r"|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|thousand|million)\b",
    re.IGNORECASE,
)
_FILLERS = re.compile(
    r"a|an|the|that|there|are|is|she|he|it|they|we|you|has|have|had|will|be|of|in|for|at|and|so|therefore|thus|hence|to"
    r"|answer|number|value|total|sum|result|final|left|only|just|equals?|per|each|on|by|with|from|as|when|all|altogether"
)


def quantity(text: str, *, is_stated: bool = False) -> Quantity:
    """Return the one number in a text, with its unit.

    Args:
        text: A text such as "12 km", "x = 3/4" or "She has 12 apples left".
        is_stated: Whether the text is a stated answer, so that only a few words may precede the number.

    Raises:
        NotAQuantity: The text has no number or several, or contains more than a number.
    """
    if len(text) > LONGEST:
        raise NotAQuantity(f"it says more than a number: {text[:80]}")
    text = _unquoted(without_latex(plain(text)).strip(" *_"))
    if _CUT_OFF.search(text) or re.search(r"-\s*\(", text):
        raise NotAQuantity(f"it may be another number: {text[:80]}")
    text = text.rstrip(" .。、,;")
    text = _right_side(_SQUARED.sub(lambda found: found[1] + ("²" if found[2] == "2" else "³"), text))
    found = numerals(text)
    if not found:
        return _in_words(text)
    if len(found) > 1:
        raise NotAQuantity(f"it gives several numbers: {text[:80]}")
    one = found[0]
    if one.value is None:
        raise NotAQuantity(f"{one.written!r} is no plain number")
    if re.match(r"[-–]\s", one.written):
        raise NotAQuantity(f"the sign in {one.written!r} may be a dash")
    if is_stated and (lead := _LEADS.sub("", text[: one.start])):
        raise NotAQuantity(f"{lead[:20]!r} before the number may change it: {text[:80]}")
    return _with_unit(text, one)


def _unquoted(text: str) -> str:
    """Return a text without the quotation marks around it."""
    match = re.fullmatch(r"([\"'「『])([^\"'「」『』]*)[\"'」』]([.。]?)", text)
    return match[2] if match else text.replace("「", " ").replace("」", " ")


def _right_side(text: str) -> str:
    """Return what stands behind the last equals sign of a single chain of equations."""
    text = _OF_VARIABLE.sub("", text)
    exact, _, about = text.partition("≈")
    parts = (about if about and not re.search(r"\d", exact) else exact).split("=")
    if len(parts) == 1:
        return re.sub(r"\A\s*[A-Za-z]\s*:\s*", "", parts[0])
    if any(_UNKNOWN.search(part) for part in parts[:-1]):
        raise NotAQuantity(f"the equation is not solved: {text[:80]}")
    if any(re.search(r"[,、;。]\s|、|\band\b|\bbecause\b|[A-Za-z]{4,}.*[,;]", part) for part in parts[1:]):
        raise NotAQuantity(f"it holds several equations: {text[:80]}")
    return parts[-1].strip()


def _with_unit(text: str, one: Numeral) -> Quantity:
    """Return the number with its unit; the words around it must not change what it says."""
    before, behind = text[: one.start], text[one.end :]
    unit, rest = _unit_behind(behind)
    if sign := _CURRENCY.search(one.written):
        unit = sign[0] if not unit or unit_of(unit) is None else unit
        if re.search(r"[A-Za-z]\Z", before) and not before.endswith("US"):
            raise NotAQuantity(f"it is in the currency of another country: {text[:80]}")
    words = f"{before} {rest}"
    change = CHANGES.search(f"{before} {behind}") or _SUBJECT.match(behind) or _STRANGE.search(rest)
    change = change or _STRANGE.search(before)
    for problem in (_OPERATORS, _VARIABLE, _WORDS_NUMBER):
        change = change or problem.search(words) or problem.search(f"0{rest}")
    if change:
        raise NotAQuantity(f"{change[0].strip()!r} beside the number may change it: {text[:80]}")
    if len(words.split()) > MOST_WORDS:
        raise NotAQuantity(f"it says more than a number: {text[:80]}")
    is_in_scale = SCALE_SIGNS.match(behind) or (_CURRENCY.search(one.written) and re.match(r"\s?[mbt]n?\b", behind))
    if is_in_scale or (re.fullmatch(r"[A-Za-z]", unit) and unit_of(unit) is None):
        raise NotAQuantity(f"{behind[:10].strip()!r} behind the number may multiply it: {text[:80]}")
    if re.match(r"[A-Za-z]", behind) and unit_of(unit) is None:
        raise NotAQuantity(f"letters stand behind the number: {text[:80]}")
    assert one.value is not None
    return Quantity(one.value, one.other, unit, one.percent, one.decimals, _is_reduced(one.written))


def _unit_behind(behind: str) -> tuple[str, str]:
    """Return the unit or the counted thing behind a number, and what is left."""
    if _JAPANESE.search(behind):
        if (counted := unit_behind(behind)) is None:
            raise NotAQuantity(f"{behind[:20]!r} behind the number may change it")
        return counted, ""
    match = _UNIT.match(behind)
    if match is None:
        return "", behind
    unit = match["unit"].strip()
    if _FILLERS.fullmatch(unit.lower()):
        unit = ""
    return unit, behind[match.start("unit") + len(unit) :]


def _in_words(text: str) -> Quantity:
    """Return a number in words, where the text is that number and at most a unit."""
    for count in range(min(len(words := text.split()), MOST_WORDS), 0, -1):
        if (value := english_words(" ".join(words[:count]))) is not None and len(words) - count <= 1:
            unit = words[count] if count < len(words) else ""
            if not CHANGES.search(unit):
                is_percent = unit.lower() == "percent"
                return Quantity(value, unit="" if is_percent else unit, percent=is_percent)
    if (found := _in_kanji(text)) is not None:
        return found
    raise NotAQuantity(f"it gives no number: {text[:80]}")


def _in_kanji(text: str) -> Quantity | None:
    """Return a number or a fraction in kanji, with what can follow it."""
    match = re.match(rf"({_KANJI})(?:分の({_KANJI}))?", text)
    if match is None or (unit := unit_behind(text[match.end() :])) is None:
        return None
    value, top = kanji_words(match[1]), kanji_words(match[2] or "一")
    if value is None or top is None or (match[2] and not value):
        return None
    return Quantity(top / value if match[2] else value, unit=unit)


_KANJI = "[零〇一二三四五六七八九十百千万億兆]+"


def _is_reduced(written: str) -> bool:
    """Return whether a fraction is in lowest terms; what is written as no fraction is."""
    parts = re.search(r"(\d+)\s*/\s*(\d+)|\\frac\s*\{(\d+)\}\s*\{(\d+)\}|(\d+)分の(\d+)", written)
    if parts is None:
        return True
    one, other = (int(part) for part in parts.groups() if part is not None)
    value = Fraction(one, other) if other else Fraction(0)
    return {value.numerator, value.denominator} == {one, other}
