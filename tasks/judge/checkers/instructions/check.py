"""The checker `instructions`: whether an answer has the form that a column, the recipe or the prompt asks for."""

import orjson
from pydantic import ValidationError

from kasasagi.tasks.judge.checkers.finding import Case, Finding, cannot_tell, correct, incorrect
from kasasagi.tasks.judge.checkers.instructions.constraints import Constraints, read_constraints
from kasasagi.tasks.judge.checkers.instructions.english import recognise_english
from kasasagi.tasks.judge.checkers.instructions.japanese import recognise_japanese
from kasasagi.tasks.judge.checkers.instructions.outcomes import outcomes
from kasasagi.tasks.judge.checkers.instructions.recognised import Recognised
from kasasagi.tasks.judge.checkers.plain import plain
from kasasagi.tasks.judge.checkers.truths import is_missing
from kasasagi.tasks.text.languages import KANA

MOST_CHARS = 8_000
"""A longer prompt is material to work on, among which constraints are not looked for."""


def check_instructions(case: Case) -> Finding:
    """Hold an answer against all constraints: it is correct if it meets each, and they are all that is asked for."""
    try:
        asked = _asked(case)
    except (ValidationError, orjson.JSONDecodeError, TypeError) as error:
        return cannot_tell(f"the constraints cannot be read: {' '.join(str(error).split())[:160]}", "bad_truth")
    if asked.constraints.is_empty:
        return cannot_tell("no constraint that can be checked is recognised", "no_constraint")
    found = list(outcomes(asked.constraints, case.answer))
    if broken := [one for one in found if one.holds is False]:
        return incorrect("; ".join(f"{one.name}: {one.detail}" for one in broken))
    if open_ones := [one for one in found if one.holds is None]:
        return cannot_tell("; ".join(f"{one.name}: {one.detail}" for one in open_ones))
    if asked.left:
        return cannot_tell(f"the prompt seems to ask for more than is checked: {asked.left[:40]!r}")
    return correct(f"it meets {', '.join(one.name for one in found)}")


def _asked(case: Case) -> Recognised:
    """Return the constraints of the row or the recipe, else those of the prompt."""
    if not is_missing(case.truth):
        return Recognised(read_constraints(case.truth), "")
    return recognised_in(case.prompt)


def recognised_in(prompt: str) -> Recognised:
    """Return the constraints that a prompt states, in Japanese or English."""
    if len(prompt) > MOST_CHARS:
        return Recognised(Constraints(), "")
    read = recognise_japanese if KANA.search(prompt) else recognise_english
    try:
        return read(plain(prompt))
    except (ValidationError, ValueError):  # numbers that contradict themselves
        return Recognised(Constraints(), "")
