"""The stage `judge`: judges rate responses."""

from typing import Any

import pyarrow as pa

from kasasagi.blocks.tables import Table
from kasasagi.tasks.gate.expectation import holds, never
from kasasagi.tasks.gate.gate import NOT_ANSWERED, Gate
from kasasagi.tasks.stage import Stage

RATINGS = pa.schema(
    [
        ("response_id", pa.string()),
        ("prompt_id", pa.string()),
        ("judge", pa.string()),
        ("aspect", pa.string()),
        ("ordering", pa.string()),
        ("place", pa.int64()),
        ("rating", pa.float64()),
        ("rationale", pa.string()),
        ("call_id", pa.string()),
    ]
)

RATING_HISTOGRAM = pa.schema(
    [
        ("judge", pa.string()),
        ("aspect", pa.string()),
        ("model", pa.string()),
        ("rating", pa.float64()),
        ("verdicts", pa.int64()),
    ]
)

JUDGE_FIGURES = pa.schema(
    [
        ("figure", pa.string()),
        ("judge", pa.string()),
        ("aspect", pa.string()),
        ("subject", pa.string()),
        ("value", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("cases", pa.int64()),
    ]
)

# A verdict is the sign of the difference between two responses, by one judge, under one aspect and in one order.
_VERDICTS = f"""
WITH marks AS (
    SELECT prompt_id, response_id, coalesce(judge, '') AS judge, aspect, ordering, avg(rating) AS rating
    FROM ratings GROUP BY ALL
),
verdicts AS (
    SELECT a.response_id AS one, b.response_id AS other, judge, aspect, ordering, sign(a.rating - b.rating) AS verdict
    FROM marks AS a JOIN marks AS b USING (prompt_id, judge, aspect, ordering)
    WHERE a.response_id < b.response_id
)
SELECT response_id, aspect, CASE WHEN by_model THEN false END AS unreadable,
       CASE WHEN by_model THEN false END AS no_answer, rating, model,
       CASE WHEN judge = 'verify' THEN false END AS cannot_tell
FROM (SELECT *, judge IS DISTINCT FROM 'verify' OR NOT EXISTS (FROM ratings WHERE judge <> 'verify') AS by_model
      FROM ratings) JOIN (SELECT response_id, model FROM responses) USING (response_id)
UNION ALL BY NAME
SELECT payload->>'response_id' AS response_id, payload->>'aspect' AS aspect, NOT {NOT_ANSWERED} AS unreadable,
       {NOT_ANSWERED} AS no_answer
FROM quarantine WHERE stage = 'judge' AND reason NOT IN ('nothing_to_compare', 'not_compared', 'template')
    AND payload->>'response' IS NULL
UNION ALL BY NAME
SELECT payload->>'response_id' AS response_id, payload->>'aspect' AS aspect, true AS cannot_tell
FROM quarantine WHERE stage = 'judge' AND reason <> 'nothing_to_compare' AND payload->>'response' IS NOT NULL
UNION ALL BY NAME
SELECT min(verdict) = max(verdict) AS same_in_both_orders
FROM verdicts GROUP BY one, other, judge, aspect HAVING count(DISTINCT ordering) = 2
UNION ALL BY NAME
SELECT min(verdict) = max(verdict) AS judges_agree
FROM verdicts GROUP BY one, other, aspect, ordering HAVING count(DISTINCT judge) > 1
"""


def _judges(recipe: Any) -> list[tuple[str, str]]:
    config = recipe.judge
    if config is None:
        return []
    judges = [("judge.model" if config.model else f"judge.models.{n}", name) for n, name in enumerate(config.judges)]
    return [*judges, *([("judge.items_by", config.items_by)] if config.items_by else [])]


# Version 2: what may be a quotation is no verdict. 3: JSON beside words is none, nor is what stands behind an end of
# thinking that may be quoted. 4: nor is a reply that was cut off. 5: sixteen forms of thinking are split
# off. 6: a verdict that also stands in a judged text is none; labels behind a number and closing courtesies are read.
# 7: what may be copied is compared by label and value, with all data that was shown; words behind a number must fit it.
# Further forms of thinking are split off, quoted ones are not.
JUDGE = Stage(
    "judge",
    version=7,
    wanted=lambda recipe: recipe.judging is not None,
    task="kasasagi.tasks.judge.task:judge",
    tables=(
        Table("ratings", RATINGS, with_kept=True),
        Table("rating_histogram", RATING_HISTOGRAM),
        Table("judge_figures", JUDGE_FIGURES),
    ),
    named_models=_judges,
    needs_words=False,
    example="kasasagi.tasks.judge.checklist.example:example",
    repairs=lambda recipe: 0 if recipe.judging.method in ("reward", "verify") else int(recipe.judging.repairs),
    gate=Gate(
        _VERDICTS,
        "response_id",
        (
            never("judge", "no_answer", 0.02),
            never("judge", "unreadable", 0.05),
            holds("judge", "same_in_both_orders", 0.60),
        ),
        of_several_judges=(holds("judge", "judges_agree", 0.60, severity="warning"),),
        of_checkers=(never("judge", "cannot_tell", 0.50),),
    ),
)
