"""What the gates expect of a recipe's rows: of what its stages do, and of what its rules look at."""

from typing import TYPE_CHECKING

from tasks.converse.plan import goes_on
from tasks.gate.config import Expectation

if TYPE_CHECKING:
    from flows.recipe import Recipe

LOOKED_AT = {"truncated": "finished", "refused": "no_refusal", "language_as_asked": "same_language"}
"""The columns of the responses that a rule for answers fills, each with its rule."""


def due(recipe: "Recipe") -> tuple[Expectation, ...]:
    """The expectations that a recipe's rows can meet or fail.

    Of optional stages only where they are, of judges' agreement if there are several, and of what a rule for answers
    looks at where the recipe has that rule. Given responses are called chosen and rejected in place of models, so that
    none of them is a favourite.
    """
    judging = recipe.judging
    optional = {"judge": judging, "tags": recipe.tags, "rewrite": recipe.rewrite, "converse": goes_on(recipe.source)}
    return tuple(
        one
        for one in recipe.gates.all(judging is not None and len(judging.voices) > 1)
        if optional.get(one.stage, True)
        and not _unseen(recipe, one)
        and not (recipe.given and one.arguments.get("column") == "chosen_from_favourite")
    )


def gate_faults(recipe: "Recipe") -> list[str]:
    """A sentence for each expectation of the recipe's own on which every response would pass unseen."""
    return [
        f"gates.expect.{place}: no rule looks at {column!r} here, so every response would pass; {_remedy(recipe, rule)}"
        for place, one in enumerate(recipe.gates.expect)
        for column, rule in _unseen(recipe, one)
    ]


def _unseen(recipe: "Recipe", one: Expectation) -> list[tuple[str, str]]:
    """The columns of an expectation that nobody fills, with the rules that would."""
    if one.stage != "respond":
        return []
    rules = () if recipe.given else recipe.respond.rules
    return [(column, rule) for column, rule in LOOKED_AT.items() if column in one.columns and rule not in rules]


def _remedy(recipe: "Recipe", rule: str) -> str:
    if recipe.given:
        return "responses that the source holds are taken as they are: leave this expectation out"
    return f"add {rule} to respond.rules, or leave this expectation out"
