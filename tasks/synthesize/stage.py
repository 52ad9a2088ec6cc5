"""The stage `synthesize`: a model generates instructions."""

from kasasagi.tasks.gate.expectation import never
from kasasagi.tasks.gate.gate import NOT_ANSWERED, Gate
from kasasagi.tasks.stage import Stage

_DRAWS = f"""
        SELECT draw_id, finish_reason, stop_reason, length(text) AS characters, false AS no_answer FROM draws
        UNION ALL BY NAME
        SELECT row_id AS draw_id, {NOT_ANSWERED} AS no_answer FROM quarantine WHERE stage = 'synthesize'
    """

# Version 2: a steering text that is a line of its own is not a part of the instruction.
SYNTHESIZE = Stage(
    "synthesize",
    version=2,
    wanted=lambda recipe: recipe.source.kind == "magpie",
    models=lambda recipe: [recipe.source.model],
    gate=Gate(_DRAWS, "draw_id", (never("synthesize", "no_answer", 0.02),), table="draws"),
)
