"""What a gate looks at: one narrow frame a stage, worked out in DuckDB from the run's tables.

A frame is the union of its parts; a column that a part does not have is NULL there, and Great Expectations passes NULL
over, so each column speaks of its own rows alone.
"""

from collections.abc import Iterator

import duckdb
import pandas as pd

_ASKED_ABOUT = """
SELECT false AS unreadable FROM (SELECT unnest(range(rows_out)) FROM stages WHERE stage = '{stage}')
UNION ALL BY NAME
SELECT row_id, {unreadable} AS unreadable, reason FROM quarantine WHERE stage = '{stage}'
"""
# A prompt that was tagged, and set aside by a condition on its tags, goes by its own id; an unread reply does not.
_TAGS = _ASKED_ABOUT.format(stage="tags", unreadable="row_id IS DISTINCT FROM payload->>'prompt_id'")
_REWRITE = _ASKED_ABOUT.format(stage="rewrite", unreadable="true")
# A dialogue that had its turns from the start has nothing to say of how dialogues go on.
_CONVERSE = """
WITH grown AS (SELECT prompt_id, max(turn) AS turns FROM turns GROUP BY prompt_id)
SELECT prompt_id, prompt_id AS row_id, turns, turns > 0 AS has_its_turns, turns = 0 AS truncated, turns = 0 AS refused,
       turns > 0 AS language_as_asked, length(instruction) AS characters, finish_reason, NULL::VARCHAR AS reason
FROM prompts LEFT JOIN grown USING (prompt_id)
UNION ALL BY NAME
SELECT row_id, false AS has_its_turns, reason IN ('answer_truncated', 'finished') AS truncated,
       reason = 'answer_refusal' AS refused, reason <> 'answer_other_language' AS language_as_asked, reason
FROM quarantine WHERE stage = 'converse'
"""
_RESPOND = """
SELECT response_id, prompt_id, model, finish_reason, false AS truncated, false AS refused, true AS language_as_asked,
       length(content) AS characters, completion_tokens, NULL::VARCHAR AS reason
FROM responses
UNION ALL BY NAME
SELECT row_id AS response_id, payload->>'prompt_id' AS prompt_id, payload->>'model' AS model,
       payload->>'finish_reason' AS finish_reason, reason = 'truncated' AS truncated, reason = 'refusal' AS refused,
       reason <> 'other_language' AS language_as_asked, length(payload->>'content') AS characters,
       (payload->>'completion_tokens')::BIGINT AS completion_tokens, reason
FROM quarantine WHERE stage = 'respond'
"""
# A verdict is the sign of the difference between two responses, by one judge, under one aspect and in one order.
_JUDGE = """
WITH marks AS (
    SELECT prompt_id, response_id, coalesce(judge, '') AS judge, aspect, ordering, avg(rating) AS rating
    FROM ratings GROUP BY ALL
),
verdicts AS (
    SELECT a.response_id AS one, b.response_id AS other, judge, aspect, ordering, sign(a.rating - b.rating) AS verdict
    FROM marks AS a JOIN marks AS b USING (prompt_id, judge, aspect, ordering)
    WHERE a.response_id < b.response_id
)
SELECT response_id, aspect, false AS unreadable, rating, model
FROM ratings JOIN (SELECT response_id, model FROM responses) USING (response_id)
UNION ALL BY NAME
SELECT payload->>'response_id' AS response_id, payload->>'aspect' AS aspect, true AS unreadable
FROM quarantine WHERE stage = 'judge' AND reason NOT IN ('nothing_to_compare', 'not_compared', 'template')
UNION ALL BY NAME
SELECT min(verdict) = max(verdict) AS same_in_both_orders
FROM verdicts GROUP BY one, other, judge, aspect HAVING count(DISTINCT ordering) = 2
UNION ALL BY NAME
SELECT min(verdict) = max(verdict) AS judges_agree
FROM verdicts GROUP BY one, other, aspect, ordering HAVING count(DISTINCT judge) > 1
"""
# A prompt counts once among those that give a pair, however many it gives; all else is said of each pair.
# A pair without ratings has no margin: its chosen model was named in the recipe and is nobody's favourite.
_FORMAT_DPO = """
WITH named AS (
    SELECT p.prompt_id, p.margin, c.model AS chosen_model, r.model AS rejected_model,
           row_number() OVER (PARTITION BY p.prompt_id ORDER BY p.chosen_id, p.rejected_id) AS place,
           length(c.content) > length(r.content) AS chosen_is_longer
    FROM pairs AS p
    JOIN responses AS c ON c.response_id = p.chosen_id
    JOIN responses AS r ON r.response_id = p.rejected_id
),
favourite AS (SELECT chosen_model FROM named GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1)
SELECT prompt_id, margin, chosen_model, rejected_model, CASE WHEN place = 1 THEN true END AS gives_pair,
       chosen_is_longer,
       CASE WHEN margin IS NOT NULL AND (SELECT count(DISTINCT model) FROM responses) > 1
            THEN chosen_model = (SELECT chosen_model FROM favourite) END AS chosen_from_favourite
FROM named
UNION ALL BY NAME
SELECT row_id AS prompt_id, false AS gives_pair FROM quarantine WHERE stage = 'format_dpo'
"""
_FRAMES = {
    "load": "SELECT prompt_id FROM loaded",
    "synthesize": "SELECT draw_id, finish_reason, stop_reason, length(text) AS characters FROM draws",
    "filter": "SELECT prompt_id, length(instruction) AS characters, finish_reason FROM prompts",
    "tags": _TAGS,
    "rewrite": _REWRITE,
    "converse": _CONVERSE,
    "respond": _RESPOND,
    "judge": _JUDGE,
    "format_dpo": _FORMAT_DPO,
}
_TEXT_COLUMNS = {
    "load": ("loaded", "prompt_id"),
    "synthesize": ("draws", "draw_id"),
    "filter": ("prompts", "prompt_id"),
    "converse": ("prompts", "prompt_id"),
    "respond": ("responses", "response_id"),
}


def stage_frame(tables: duckdb.DuckDBPyConnection, stage: str, columns: set[str]) -> pd.DataFrame:
    """The rows of one stage with the columns that its expectations name, and no others; a lone `row` if they name none.

    A column that the stage's frame does not work out is taken from the stage's own table (content, messages, a kept
    column); one that is nowhere is left out, so that its expectation fails.
    """
    frame: pd.DataFrame = tables.execute(_query(tables, stage, columns)).df()
    return frame


def stage_frames(tables: duckdb.DuckDBPyConnection, stage: str, columns: set[str], rows: int) -> Iterator[pd.DataFrame]:
    """The same rows in frames of at most so many, so that memory does not grow with the table."""
    for batch in tables.sql(_query(tables, stage, columns)).to_arrow_reader(rows):
        yield batch.to_pandas()


def stage_rows(tables: duckdb.DuckDBPyConnection, stage: str) -> int:
    """How many rows a stage's frame has."""
    found = tables.execute(f"SELECT count(*) FROM ({_FRAMES[stage]})").fetchone()
    return int(found[0]) if found else 0


def _query(tables: duckdb.DuckDBPyConnection, stage: str, columns: set[str]) -> str:
    worked_out = f"({_FRAMES[stage]}) AS f"
    known = _columns(tables, f"SELECT * FROM {worked_out}")
    names = [_picked("f", name, known[name]) for name in sorted(columns & known.keys())]
    if stage in _TEXT_COLUMNS and columns - known.keys():
        table, key = _TEXT_COLUMNS[stage]
        there = _columns(tables, f"SELECT * FROM {table}")
        if more := sorted((columns - known.keys()) & there.keys()):
            names += [_picked("t", name, there[name]) for name in more]
            worked_out += f" LEFT JOIN {table} AS t USING ({key})"
    return f"SELECT {', '.join(names) or 'true AS row'} FROM {worked_out}"


def _columns(tables: duckdb.DuckDBPyConnection, query: str) -> dict[str, str]:
    """The columns of a query with their types."""
    return {row[0]: row[1] for row in tables.execute(f"DESCRIBE {query}").fetchall()}


def _picked(table: str, name: str, kind: str) -> str:
    """SQL for one column; lists and structs as their JSON, since Great Expectations takes equal lists for different."""
    quoted = '"' + name.replace('"', '""') + '"'
    nested = kind.endswith("]") or kind.startswith(("STRUCT", "MAP"))
    return f"to_json({table}.{quoted})::VARCHAR AS {quoted}" if nested else f"{table}.{quoted}"
