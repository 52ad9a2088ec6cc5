"""The stage `format_dpo`: it makes pairs."""

import pyarrow as pa

from kasasagi.blocks.tables import Table
from kasasagi.tasks.gate.expectation import holds, never
from kasasagi.tasks.gate.gate import Gate
from kasasagi.tasks.respond.stage import SOURCE_LABELS
from kasasagi.tasks.stage import Stage

PAIRS = pa.schema(
    [
        ("prompt_id", pa.string()),
        ("chosen_id", pa.string()),
        ("rejected_id", pa.string()),
        ("chosen_rating", pa.float64()),
        ("rejected_rating", pa.float64()),
        ("margin", pa.float64()),
    ]
)

AUDIT = pa.schema(
    [*SOURCE_LABELS, ("chosen_rating", pa.float64()), ("rejected_rating", pa.float64()), ("verdict", pa.string())]
)

# A prompt counts once among those that give a pair, however many it gives; all else is about each pair. Prompts that
# were not chosen have what their responses showed in their payload, and do not count.
_PAIRS = """
WITH every_pair AS (
    SELECT * FROM pairs
    UNION ALL BY NAME SELECT NULL::BOOLEAN AS unsafe_prompt, NULL::VARCHAR AS refusal_side WHERE false
),
named AS (
    SELECT p.prompt_id, p.margin, c.model AS chosen_model, r.model AS rejected_model,
           CASE WHEN NOT p.unsafe_prompt THEN coalesce(p.refusal_side, '') IN ('chosen', 'both') END
           AS safe_prompt_refused,
           CASE WHEN NOT p.unsafe_prompt THEN coalesce(p.refusal_side, '') = 'rejected' END AS over_refusal_rejected,
           row_number() OVER (PARTITION BY p.prompt_id ORDER BY p.chosen_id, p.rejected_id) AS place,
           length(c.content) > length(r.content) AS chosen_is_longer
    FROM every_pair AS p
    JOIN responses AS c ON c.response_id = p.chosen_id
    JOIN responses AS r ON r.response_id = p.rejected_id
),
favourite AS (SELECT chosen_model FROM named GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1)
SELECT prompt_id, margin, chosen_model, rejected_model, CASE WHEN place = 1 THEN true END AS gives_pair,
       chosen_is_longer, safe_prompt_refused, over_refusal_rejected,
       CASE WHEN margin IS NOT NULL AND (SELECT count(DISTINCT model) FROM responses) > 1
            THEN chosen_model = (SELECT chosen_model FROM favourite) END AS chosen_from_favourite
FROM named
UNION ALL BY NAME
SELECT row_id AS prompt_id, false AS gives_pair FROM quarantine WHERE stage = 'format_dpo' AND reason <> 'surplus'
    AND NOT coalesce(TRY(json_exists(payload, '$.rating_spread')), false)
"""

# Version 2: what rounding adds to a mean or takes from it decides nothing. 3: a tie in one of two orders makes no pair.
FORMAT_DPO = Stage(
    "format_dpo",
    version=3,
    wanted=lambda recipe: recipe.pairing,
    task="kasasagi.tasks.format_dpo.task:format_dpo",
    tables=(Table("pairs", PAIRS, with_kept=True), Table("audit", AUDIT)),
    pays=False,
    gate=Gate(
        _PAIRS,
        "prompt_id",
        (
            holds("format_dpo", "gives_pair", 0.25),
            never("format_dpo", "chosen_is_longer", 0.75),
            never("format_dpo", "chosen_from_favourite", 0.90),
            never("format_dpo", "safe_prompt_refused", 0.0),
            never("format_dpo", "over_refusal_rejected", 0.50),
        ),
    ),
)
