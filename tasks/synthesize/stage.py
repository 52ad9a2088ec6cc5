"""The stage `synthesize`: a model generates instructions."""

from typing import Any

from kasasagi.tasks.gate.expectation import never
from kasasagi.tasks.gate.gate import NOT_ANSWERED, Gate
from kasasagi.tasks.stage import Stage

_DRAWS = f"""
        SELECT draw_id, finish_reason, stop_reason, length(text) AS characters, false AS no_answer FROM draws
        UNION ALL BY NAME
        SELECT row_id AS draw_id, {NOT_ANSWERED} AS no_answer FROM quarantine WHERE stage = 'synthesize'
    """


def _writer(recipe: Any) -> list[tuple[str, str]]:
    return [("source.model", recipe.source.model)] if recipe.source.kind == "magpie" else []


# Version 2: a steering text that is a line of its own is not a part of the instruction.
SYNTHESIZE = Stage(
    "synthesize",
    version=2,
    wanted=lambda recipe: recipe.source.kind == "magpie",
    task="kasasagi.tasks.synthesize.task:synthesize",
    named_models=_writer,
    example="kasasagi.tasks.synthesize.example:example",
    gate=Gate(_DRAWS, "draw_id", (never("synthesize", "no_answer", 0.02),), table="draws"),
)
