"""Equations of plain numbers in an answer: one that does not hold casts doubt on a right number behind it."""

import re
from collections.abc import Iterator
from fractions import Fraction

from kasasagi.tasks.judge.checkers.numbers.units import unit_of

MOST_CHARS = 80
_SIDE = r"[\d.,+\-*/×÷·()\s]*\d[\d.,+\-*/×÷·()\s]*"
_EQUATION = re.compile(rf"{_SIDE}(?:={_SIDE})+")
_TOKEN = re.compile(r"\s*(?:(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)|([-+*/×÷·()]))")
_SKIP_BEFORE = re.compile(r"(?:[\^%°√π}\\\])_]|(?<![A-Za-z])[A-Za-z]|\b(?:log|ln|sin|cos|tan|sqrt|mod|of|base))\s*\Z")
_SKIP_BEHIND = re.compile(
    r"\s*(?:[A-Za-z](?![A-Za-z])|[\^%(\\=≈°√π!]|(?:hundred|thousand|million|billion|dozen|remainder|mod)\b|R\s*\d|余|あまり"
    r"|[百千万億割])"
)
_WORD = re.compile(r"\s*([A-Za-z]+|[ぁ-んァ-ヶー一-鿿]{1,3})")


def false_equation(text: str) -> str | None:
    """Return the first equation of plain numbers that does not hold, None where all of them do or none is there.

    Rounding is allowed, and what variables, powers or units make of the numbers is left alone.
    """
    return next((sides for sides in _equations(text) if not _holds(sides)), None)


def _equations(text: str) -> Iterator[str]:
    for line in text.splitlines():
        for found in _EQUATION.finditer(line):
            sides = found[0].strip().rstrip(".,")
            is_alone = not _SKIP_BEFORE.search(line[: found.start()]) and not _SKIP_BEHIND.match(line[found.end() :])
            if is_alone and len(sides) <= MOST_CHARS and not _is_converted(line[found.end() :]):
                yield sides


def _is_converted(behind: str) -> bool:
    """Return whether a unit stands behind an equation, which may have been converted in it."""
    word = _WORD.match(behind)
    return word is not None and any(unit_of(word[1][:size]) for size in range(1, len(word[1]) + 1))


def _holds(sides: str) -> bool:
    """Return whether all sides that can be worked out are equal, but for rounding."""
    parts = [part.strip() for part in sides.split("=")]
    if not any(re.search(r"\d\s*[-+*/×÷·]", part) for part in parts) or parts[0][:1] in tuple("+*/×÷·)-"):
        return True
    values = [value for part in parts if (value := value_of(part.rstrip(".,"))) is not None]
    return all(abs(value - values[0]) * 100 <= abs(values[0]) for value in values)


def value_of(text: str) -> Fraction | None:
    """Return the value of an expression of plain numbers, None where it is none."""
    tokens, place = list[str](), 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            return None
        tokens.append((match[1] or match[2]).replace(",", ""))
        place = match.end()
    try:
        value, rest = _sum(tokens)
    except (IndexError, ValueError, ZeroDivisionError, RecursionError):
        return None
    return None if rest else value


def _sum(tokens: list[str]) -> tuple[Fraction, list[str]]:
    value, rest = _product(tokens)
    while rest and rest[0] in "+-":
        other, after = _product(rest[1:])
        value, rest = (value + other if rest[0] == "+" else value - other), after
    return value, rest


def _product(tokens: list[str]) -> tuple[Fraction, list[str]]:
    value, rest = _factor(tokens)
    while rest and rest[0] in "*/×÷·":
        other, after = _factor(rest[1:])
        value, rest = (value / other if rest[0] in "/÷" else value * other), after
    return value, rest


def _factor(tokens: list[str]) -> tuple[Fraction, list[str]]:
    if tokens[0] == "-":
        value, rest = _factor(tokens[1:])
        return -value, rest
    if tokens[0] == "(":
        value, rest = _sum(tokens[1:])
        if rest[0] != ")":
            raise ValueError("a parenthesis is open")
        return value, rest[1:]
    return Fraction(tokens[0]), tokens[1:]
