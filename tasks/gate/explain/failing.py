"""The rows behind a gate that failed: what a person looks at before letting it pass."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from kasasagi.tasks.gate.evaluation.evaluate import unexpected_places
from kasasagi.tasks.gate.evaluation.frames import stage_frame
from kasasagi.tasks.gate.evaluation.queries import QueryError, unexpected_ids
from kasasagi.tasks.gate.expectation import Expectation
from kasasagi.tasks.gate.own import with_own_defaults
from kasasagi.tasks.pipeline import gate_of

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 10
ROWS_SEARCHED = 100_000
_TEXTS = """
SELECT id, arg_min(text, place) AS text FROM (
    SELECT response_id AS id, content AS text, 1 AS place FROM responses
    UNION ALL SELECT prompt_id, instruction, 1 FROM prompts
    UNION ALL SELECT draw_id, text, 1 FROM draws
    UNION ALL SELECT row_id, coalesce(payload->>'content', payload->>'reply', payload->>'instruction',
                                      payload->>'text', detail), 2 FROM quarantine
) WHERE list_contains($ids, id) GROUP BY id
"""


def failing_rows(
    tables: duckdb.DuckDBPyConnection, one: Expectation, most: int = SHOWN, base: Path = Path()
) -> list[dict[str, Any]]:
    """Return some rows of a stage that fail an expectation: id, value and text.

    Returns None if the expectation is about all rows together, or about a missing column.

    Args:
        tables: The tables of the run.
        one: The expectation.
        most: The maximum number of rows.
        base: The recipe's folder, which contains own classes.
    """
    one = with_own_defaults(one, base)
    name, column = gate_of(one.stage).id, one.arguments.get("column")
    if (query := one.arguments.get("unexpected_rows_query")) is not None:
        return _of_query(tables, one.stage, query, most)
    if column is None:
        return []
    frame = stage_frame(tables, one.stage, {column, name}).head(ROWS_SEARCHED)
    if column not in frame or name not in frame:
        return []
    places = unexpected_places(frame, one, base)[:most]
    return _with_texts(tables, frame.iloc[places], name, column)


def _of_query(tables: duckdb.DuckDBPyConnection, stage: str, query: str, most: int) -> list[dict[str, Any]]:
    """Return some rows that a query returns, with their texts as their values; none where it cannot be run or has no
    ids.
    """
    try:
        ids = unexpected_ids(tables, stage, query, gate_of(stage).id, most)
    except (QueryError, duckdb.Error):
        return []
    texts = dict(tables.execute(_TEXTS, {"ids": ids}).fetchall())
    return [{"id": id_, "value": texts.get(id_, ""), "text": texts.get(id_, "")} for id_ in ids]


def _with_texts(
    tables: duckdb.DuckDBPyConnection, rows: "pd.DataFrame", name: str, column: str
) -> list[dict[str, Any]]:
    ids: Sequence[str] = [str(value) for value in rows[name]]
    texts = dict(tables.execute(_TEXTS, {"ids": list(ids)}).fetchall())
    values = [str(value) for value in rows[column]]
    return [{"id": id_, "value": value, "text": texts.get(id_, "")} for id_, value in zip(ids, values, strict=True)]
