"""The stage `synthesize`: a model generates instructions."""

from typing import Any

import pyarrow as pa

from kasasagi.blocks.tables import Table
from kasasagi.tasks.gate.expectation import never
from kasasagi.tasks.gate.gate import NOT_ANSWERED, Gate
from kasasagi.tasks.stage import Stage

DRAWS = pa.schema(
    [
        ("draw_id", pa.string()),
        ("draw", pa.int64()),
        ("template", pa.string()),
        ("text", pa.string()),
        ("finish_reason", pa.string()),
        ("stop_reason", pa.string()),
        ("prompt_id", pa.string()),
        ("call_id", pa.string()),
    ]
)

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
    tables=(Table("draws", DRAWS),),
    named_models=_writer,
    example="kasasagi.tasks.synthesize.example:example",
    gate=Gate(_DRAWS, "draw_id", (never("synthesize", "no_answer", 0.02),), table="draws"),
)
