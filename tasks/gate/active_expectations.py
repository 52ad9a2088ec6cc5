"""What the gates expect of a recipe's rows: of what its stages do, and of what its rules look at."""

from typing import Any

from kasasagi.tasks.gate.expectation import Expectation
from kasasagi.tasks.pipeline import STAGES, gate_of

LOOKED_AT = {"truncated": "finished", "refused": "no_refusal", "language_as_asked": "same_language"}
"""The columns of the responses that a rule for answers fills, each with its rule."""
SAFETY_COLUMNS = ("safe_prompt_refused", "over_refusal_rejected")
"""The columns that only pairs with refusals fill."""
RESPONDER_COLUMNS = ("chosen_from_favourite", "responder_answers")
"""The columns that compare the models which responded."""

REJECTED_COLUMNS = {
    "respond": ("no_answer", "responder_answers", *LOOKED_AT),
    "judge": ("no_answer", "unreadable", "cannot_tell"),
    "format_dpo": ("gives_pair",),
}
"""The columns, by stage, that rejected rows alone can fail; a mix has none of them, and its parts were judged."""


def active_expectations(recipe: Any) -> tuple[Expectation, ...]:
    """Return the expectations that a recipe's rows can meet or fail.

    Those of an optional stage are active where the recipe has it, those of judges' agreement where there are several
    judges, those of checkers where answers are checked, those of a column that a rule for answers fills where the
    recipe has that rule, and those of refusals with `pairs.safety`. Provided responses are called chosen and rejected
    in place of models, so that none of them is a favourite. A mix is judged by what its rows show.
    """
    judging = recipe.judging
    wanted = {stage.name for stage in STAGES if stage.wanted(recipe)}
    own = [gate_of(entry.name).expect for entry in recipe.stages]
    changed = [one for gate in own for one in gate if not any(each.replaces(one) for each in recipe.gates.expect)]
    several, checks = False, False
    if judging is not None:
        several, checks = len(judging.votes) > 1, judging.checks or not judging.judges
    names = wanted | {entry.name for entry in recipe.stages} | ({"judge"} if recipe.mixes else set())
    unsafe = recipe.pairs.safety is not None or recipe.mixes
    return tuple(
        one
        for one in (
            *recipe.gates.all(several, checks),
            *changed,
        )
        if one.stage in names
        and not unfilled_columns(recipe, one)
        and not (not unsafe and one.arguments.get("column") in SAFETY_COLUMNS)
        and not (recipe.responses_provided and one.arguments.get("column") in RESPONDER_COLUMNS)
    )


def unfilled_columns(recipe: Any, one: Expectation) -> list[tuple[str, str]]:
    """Return the columns of an expectation that no rule of the recipe fills, with the rules that would."""
    if recipe.mixes:
        return [(column, "") for column in REJECTED_COLUMNS.get(one.stage, ()) if column in one.columns]
    if one.stage != "respond":
        return []
    rules = () if recipe.responses_provided else recipe.respond.rules
    return [(column, rule) for column, rule in LOOKED_AT.items() if column in one.columns and rule not in rules]
