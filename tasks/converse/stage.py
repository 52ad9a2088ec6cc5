"""The stage `converse`: it continues prompts as dialogues of several turns."""

from typing import Any

from kasasagi.tasks.converse.plan import dialogues, has_further_turns
from kasasagi.tasks.gate.expectation import holds, never, unique
from kasasagi.tasks.gate.gate import NOT_ANSWERED, Gate
from kasasagi.tasks.stage import Stage


def _models(recipe: Any) -> list[str]:
    plan = dialogues(recipe.source, recipe.filter.rules)
    return [] if plan is None else [plan.model, plan.answerer]


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
CONVERSE = Stage(
    "converse",
    version=5,
    wanted=lambda recipe: has_further_turns(recipe.source),
    models=_models,
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
