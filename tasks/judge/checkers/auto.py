"""The checker `auto`: chooses a checker for each row by its truth."""

from collections.abc import Mapping

from kasasagi.tasks.judge.checkers.choice import check_choice, label_of, options_in
from kasasagi.tasks.judge.checkers.finding import Case, Checker, Finding
from kasasagi.tasks.judge.checkers.instructions.check import check_instructions
from kasasagi.tasks.judge.checkers.instructions.constraints import Constraints
from kasasagi.tasks.judge.checkers.json_schema import check_json, schema_of
from kasasagi.tasks.judge.checkers.numbers.check import check_number, list_of
from kasasagi.tasks.judge.checkers.numbers.expressions import is_installed, looks_like_expression
from kasasagi.tasks.judge.checkers.numbers.quantity import NotAQuantity, quantity
from kasasagi.tasks.judge.checkers.text import check_text
from kasasagi.tasks.judge.checkers.truths import is_missing, truths_of


def check_auto(case: Case) -> Finding:
    """Check an answer in the way that its truth calls for."""
    return _CHECKERS[kind_for(case)](case)


def kind_for(case: Case) -> str:
    """Return the kind of checker for a truth; none calls for the prompt's own constraints, a mapping for a schema."""
    if is_missing(case.truth):
        return "instructions"
    if (mapping := schema_of(case.truth)) is not None:
        return "instructions" if _names_constraints(mapping) else "json"
    truths, options = truths_of(case.truth), options_in(case.prompt)
    if options and all(label_of(truth, options) for truth in truths):
        return "choice"
    return "number" if all(map(_is_mathematical, truths)) else "text"


def needs_extra(truth: str) -> bool:
    """Return whether a truth is an expression that cannot be compared here, since the extra is not installed."""
    if is_installed() or not looks_like_expression(truth):
        return False
    try:
        quantity(truth)
    except NotAQuantity:
        return True
    return False


_CHECKERS: dict[str, Checker] = {
    "number": check_number,
    "choice": check_choice,
    "text": check_text,
    "json": check_json,
    "instructions": check_instructions,
}


def _names_constraints(mapping: Mapping[str, object]) -> bool:
    return bool(mapping) and set(mapping) <= set(Constraints.model_fields)


def _is_mathematical(truth: str) -> bool:
    """Return whether a truth is a number, a list of numbers or an expression in mathematical signs."""
    try:
        found = quantity(truth)
    except NotAQuantity:
        return looks_like_expression(truth) or (len(parts := list_of(truth)) > 1 and all(map(_is_mathematical, parts)))
    return len(truth.split()) <= 3 and len(found.unit.split()) <= 1
