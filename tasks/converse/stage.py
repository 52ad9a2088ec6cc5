"""The stage `converse`: it continues prompts as dialogues of several turns."""

from typing import Any

import pyarrow as pa

from kasasagi.blocks.tables import Table
from kasasagi.tasks.converse.plan import TurnsError, dialogues, has_further_turns
from kasasagi.tasks.gate.expectation import holds, never, unique
from kasasagi.tasks.gate.gate import NOT_ANSWERED, Gate
from kasasagi.tasks.stage import Stage

TURNS = pa.schema(
    [
        ("prompt_id", pa.string()),
        ("seed_id", pa.string()),
        ("turn", pa.int64()),
        ("role", pa.string()),
        ("content", pa.string()),
        ("finish_reason", pa.string()),
        ("stop_reason", pa.string()),
        ("call_id", pa.string()),
    ]
)


def _named_models(recipe: Any) -> list[tuple[str, str]]:
    try:
        plan = dialogues(recipe.source, recipe.filter.rules)
    except TurnsError:  # a problem of the recipe, which is said elsewhere
        return []
    if plan is None:
        return []
    user = "source.model" if recipe.source.kind == "magpie" and _own_model(recipe) is None else "source.turns.model"
    return [(user, plan.model), ("source.turns.answers.model" if plan.answers.model else user, plan.answerer)]


def _own_model(recipe: Any) -> str | None:
    """Return the model that turns name themselves; a number of turns names none."""
    return getattr(recipe.source.turns, "model", None)


# A dialogue that had its turns from the start does not count for how dialogues continue.
_GROWN = f"""
WITH grown AS (SELECT prompt_id, max(turn) AS turns FROM turns GROUP BY prompt_id)
SELECT prompt_id, prompt_id AS row_id, turns, turns > 0 AS has_its_turns, turns = 0 AS truncated, turns = 0 AS refused,
       turns > 0 AS language_as_asked, length(instruction) AS characters, finish_reason, NULL::VARCHAR AS reason,
       false AS no_answer
FROM prompts LEFT JOIN grown USING (prompt_id)
UNION ALL BY NAME
SELECT row_id, false AS has_its_turns, reason IN ('answer_truncated', 'finished') AS truncated,
       reason = 'answer_refusal' AS refused, reason <> 'answer_other_language' AS language_as_asked, reason,
       {NOT_ANSWERED} AS no_answer
FROM quarantine WHERE stage = 'converse'
"""

# Version 2: same_language knows many more languages that a prompt may name, personal_data looks at every turn. 3:
# sixteen forms of thinking are split off. 4: the rules on answers and on turns find more. 5: further
# forms of thinking are split off, quoted ones are not; more leaks of chat templates are found.
CONVERSE: Stage = Stage(
    "converse",
    version=5,
    wanted=lambda recipe: has_further_turns(recipe.source),
    task="kasasagi.tasks.converse.task:converse",
    tables=(Table("turns", TURNS),),
    named_models=_named_models,
    example="kasasagi.tasks.converse.dialogue:example",
    gate=Gate(
        _GROWN,
        "row_id",
        (
            never("converse", "no_answer", 0.02),
            holds("converse", "has_its_turns", 0.50),
            unique("converse", "prompt_id"),
        ),
        table="prompts",
        joined_by="prompt_id",
    ),
)
