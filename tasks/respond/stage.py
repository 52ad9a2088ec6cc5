"""The stage `respond`: models answer prompts."""

import pyarrow as pa

from kasasagi.blocks.tables import Table
from kasasagi.tasks.gate.expectation import holds, never, unique
from kasasagi.tasks.gate.gate import NOT_ANSWERED, Gate
from kasasagi.tasks.stage import Stage

RESPONSES = pa.schema(
    [
        ("response_id", pa.string()),
        ("prompt_id", pa.string()),
        ("model", pa.string()),
        ("sample_index", pa.int64()),
        ("content", pa.string()),
        ("thinking", pa.string()),
        ("finish_reason", pa.string()),
        ("stop_reason", pa.string()),
        ("prompt_tokens", pa.int64()),
        ("completion_tokens", pa.int64()),
        ("call_id", pa.string()),
    ]
)

SOURCE_LABELS = pa.schema([("prompt_id", pa.string()), ("chosen_id", pa.string()), ("rejected_id", pa.string())])

_ANSWERS = f"""
WITH answering AS (
    SELECT DISTINCT model FROM responses
    UNION SELECT payload->>'model' FROM quarantine WHERE stage = 'respond' AND length(payload->>'content') > 0
)
SELECT response_id, prompt_id, model, finish_reason, false AS truncated, false AS refused, true AS language_as_asked,
       length(content) AS characters, completion_tokens, NULL::VARCHAR AS reason, false AS no_answer,
       true AS responder_answers
FROM responses
UNION ALL BY NAME
SELECT row_id AS response_id, payload->>'prompt_id' AS prompt_id, payload->>'model' AS model,
       payload->>'finish_reason' AS finish_reason, reason = 'truncated' AS truncated, reason = 'refusal' AS refused,
       reason <> 'other_language' AS language_as_asked, length(payload->>'content') AS characters,
       (payload->>'completion_tokens')::BIGINT AS completion_tokens, reason, {NOT_ANSWERED} AS no_answer,
       CASE WHEN reason <> 'budget_spent' THEN payload->>'model' IN (SELECT model FROM answering) END
       AS responder_answers
FROM quarantine WHERE stage = 'respond'
"""

# Version 2: same_language knows many more languages that a prompt may name, and more of the words that say that an
# answer came to its end are known. 3: sixteen forms of thinking are split off. 4: more refusals are found, Chinese is
# not Japanese, a number of times in a question excuses no loop. 5: further forms of thinking are split off, quoted ones
# are not; more leaks of chat templates and more refusals are found; repetition is excused up to the number asked for.
# 6: a classifier knows refusals.
RESPOND = Stage(
    "respond",
    version=6,
    wanted=lambda recipe: recipe.answers,
    task="kasasagi.tasks.respond.task:respond",
    tables=(
        Table("responses", RESPONSES, replaced=True, with_kept=True),
        Table("claims", SOURCE_LABELS, public=False),
    ),
    named_models=lambda recipe: [(f"respond.models.{n}", one.use) for n, one in enumerate(recipe.respond.models)],
    example="kasasagi.tasks.respond.answers:example",
    calls_each=lambda recipe: recipe.respond.answers,
    gate=Gate(
        _ANSWERS,
        "response_id",
        (
            never("respond", "no_answer", 0.02),
            holds("respond", "responder_answers", 1.0),
            never("respond", "truncated", 0.05),
            never("respond", "refused", 0.10),
            holds("respond", "language_as_asked", 0.95),
            unique("respond", "response_id"),
        ),
        table="responses",
    ),
)
