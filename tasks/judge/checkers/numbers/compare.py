"""Whether two quantities are equal, units and percentages included; what depends on the reading stays open."""

import re
from fractions import Fraction

from kasasagi.tasks.judge.checkers.finding import Finding, cannot_tell, correct, incorrect
from kasasagi.tasks.judge.checkers.numbers.quantity import Quantity
from kasasagi.tasks.judge.checkers.numbers.units import UNITS, Unit, asked_unit, unit_of, units_in

_PERCENT_ASKED = re.compile(r"%|\bper\s?cent|パーセント|割合|何割|百分率", re.IGNORECASE)
_LOWEST_TERMS = re.compile(
    r"\b(?:simplest|lowest|reduced|simplif\w+|irreducible)\b|既約|約分|最も簡単|簡単な(?:形|分数)", re.IGNORECASE
)
_HUNDRED = Fraction(100)
LONGEST_SIGN = 3
_MEASURE = re.compile(
    r"\A(?:[A-Za-z]{1,2}|[A-Za-z]*[A-Z][A-Za-z]*|.*[/²³].*|(?:kilo|mega|giga|tera|milli|micro|nano|centi).*"
    r"|(?:gallon|quart|pint|cup|ounce|acre|hectare|joule|calorie|watt|volt|byte|bit|newton|knot|penn|pence|nickel|dime|decade|centur"
    r"|fortnight|rupee|peso|radian).*)\Z"
)
"""Units that are not converted: they fit where the question names them."""


def compare(truth: Quantity, found: Quantity, prompt: str = "") -> Finding:
    """Compare the number that an answer gives with the true one.

    Args:
        truth: The true number.
        found: The answer's number.
        prompt: The question, which may say which unit or form is asked for.
    """
    if truth.percent != found.percent:
        return _percent(truth, found, prompt)
    if truth.unit or found.unit:
        return _units(truth, found, prompt)
    return _values(truth.value, found.value, truth, found, prompt)


def _percent(truth: Quantity, found: Quantity, prompt: str) -> Finding:
    """Compare a percentage with a number that is none."""
    sign, bare = (truth, found) if truth.percent else (found, truth)
    if bare.value * _HUNDRED == sign.value:
        return correct(f"{_show(found)} is {_show(truth)}")
    if bare.value == sign.value:
        if _PERCENT_ASKED.search(prompt):
            return correct(f"{_show(found)} is {_show(truth)} in percent")
        return cannot_tell(f"{_show(found)} and {_show(truth)} are equal only if percent are asked for")
    if _rounds(bare.value * _HUNDRED, sign.value) or _rounds(bare.value, sign.value):
        return cannot_tell(f"{_show(found)} may be {_show(truth)}, rounded")
    return incorrect(f"{_show(found)} is not {_show(truth)}")


def _units(truth: Quantity, found: Quantity, prompt: str) -> Finding:
    """At least one of the two has a unit, or a thing that is counted."""
    one, other = truth.known_unit, found.known_unit
    if one and other:
        return _converted(truth, found, one, other)
    if other and not truth.unit:
        return _found_in_unit(truth, found, prompt)
    if one and not found.unit:
        return _truth_in_unit(truth, found, prompt)
    if truth.unit and found.unit and _noun(truth.unit) != _noun(found.unit):
        return cannot_tell(f"the answer counts {found.unit}, the truth {truth.unit}")
    if (
        prompt
        and not truth.unit
        and _MEASURE.search(found.unit)
        and not re.search(rf"\b{re.escape(_noun(found.unit))}", prompt)
    ):
        return cannot_tell(f"the question does not ask for {found.unit}")
    return _values(truth.value, found.value, truth, found, prompt)


def _converted(truth: Quantity, found: Quantity, one: Unit, other: Unit) -> Finding:
    """Compare two numbers whose units can be converted."""
    if {one.dimension, other.dimension} == {"time", "calendar"}:
        return cannot_tell(f"the answer is in {found.unit}, the truth in {truth.unit}")
    if one.dimension != other.dimension:
        units = f"the answer is in {found.unit}, the truth in {truth.unit}"
        return cannot_tell(units) if truth.value == found.value else incorrect(units)
    if one.size == other.size:
        return _values(truth.value, found.value, truth, found, "")
    return _values(truth.value * one.size, found.value * other.size, truth, found, "")


def _found_in_unit(truth: Quantity, found: Quantity, prompt: str) -> Finding:
    """Compare an answer with a unit to a bare truth, which is in the unit that the question asks for."""
    unit = found.known_unit
    assert unit is not None
    asked = asked_unit(prompt)
    wanted = unit_of(asked) if asked else None
    if wanted is not None:
        if wanted.dimension != unit.dimension:
            return cannot_tell(f"the answer is in {found.unit}, and {asked} are asked for")
        return _values(truth.value * wanted.size, found.value * unit.size, truth, found, prompt)
    rivals = {one.size for name in units_in(prompt) if (one := unit_of(name)) and one.dimension == unit.dimension}
    could_be = {one.size for one in UNITS.values() if one.dimension == unit.dimension} if not asked else set()
    if truth.value != found.value and any(found.value * unit.size == truth.value * size for size in could_be):
        return cannot_tell(f"the question does not say in which unit {_show(truth)} is meant")
    if rivals - {unit.size}:
        return cannot_tell(f"the question does not say whether {found.unit} are asked for")
    return _values(truth.value, found.value, truth, found, prompt)


def _truth_in_unit(truth: Quantity, found: Quantity, prompt: str) -> Finding:
    """Compare a truth with a unit to a bare answer, which is meant in the unit that the question asks for."""
    unit = truth.known_unit
    assert unit is not None
    asked = asked_unit(prompt)
    wanted = unit_of(asked) if asked else None
    if wanted is not None and wanted.dimension == unit.dimension:
        return _values(truth.value * unit.size, found.value * wanted.size, truth, found, prompt)
    if truth.value != found.value:
        return cannot_tell(f"the answer has no unit, and {_show(truth)} is another number")
    mentioned = {one.size for name in units_in(prompt) if (one := unit_of(name)) and one.dimension == unit.dimension}
    if mentioned == {unit.size}:
        return correct(f"{_show(found)} is {_show(truth)} without its unit")
    return cannot_tell(f"the answer has no unit, and the truth is {_show(truth)}")


def _values(one: Fraction, other: Fraction, truth: Quantity, found: Quantity, prompt: str) -> Finding:
    both = f"{_show(found)} and {_show(truth)}"
    if one == other:
        if not found.is_reduced and truth.is_reduced and _LOWEST_TERMS.search(prompt):
            return cannot_tell(f"{_show(found)} is {_show(truth)}, but not in lowest terms")
        return correct(f"{_show(found)} is {_show(truth)}")
    if truth.value in (found.other, truth.other) or found.value in (truth.other, found.other):
        return cannot_tell(f"{both} are equal only if a separator means something else")
    if found.other is not None and found.other == truth.other:
        return cannot_tell(f"{both} are equal only if a separator means something else")
    if _is_rounded(one, truth, other, found):
        return cannot_tell(f"{both} may differ by rounding alone")
    return incorrect(f"{_show(found)} is not {_show(truth)}")


def _is_rounded(one: Fraction, truth: Quantity, other: Fraction, found: Quantity) -> bool:
    """Return whether one number may be the other, rounded to the decimals that it has."""
    return any(
        quantity.decimals and abs(one - other) <= Fraction(1, 10**quantity.decimals) and _rounds(one, other)
        for quantity in (truth, found)
    )


def _rounds(one: Fraction, other: Fraction) -> bool:
    """Return whether two numbers are so near that rounding may lie between them: less than one percent apart."""
    return one != other and abs(one - other) * 100 <= max(abs(one), abs(other))


def _noun(unit: str) -> str:
    """Return a counted thing in the singular; a sign such as MW is another one than mW."""
    return unit if len(unit) <= LONGEST_SIGN else unit.lower().removesuffix("s")


def _show(quantity: Quantity) -> str:
    value = quantity.value
    number = str(value.numerator) if value.denominator == 1 else f"{value.numerator}/{value.denominator}"
    return f"{number}{'%' if quantity.percent else ''}{f' {quantity.unit}' if quantity.unit else ''}"
