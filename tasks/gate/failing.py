"""The rows behind a gate that failed: what a person looks at before letting it pass."""

from collections.abc import Sequence
from typing import Any

import duckdb
import pandas as pd

from tasks.gate.config import Expectation
from tasks.gate.frames import stage_frame
from tasks.gate.judge import unexpected_places

IDS = {
    "load": "prompt_id",
    "synthesize": "draw_id",
    "filter": "prompt_id",
    "tags": "row_id",
    "rewrite": "row_id",
    "converse": "row_id",
    "respond": "response_id",
    "judge": "response_id",
    "format_dpo": "prompt_id",
}
SHOWN = 10
ROWS_SEARCHED = 100_000
_TEXTS = """
SELECT id, min(text) AS text FROM (
    SELECT response_id AS id, content AS text FROM responses
    UNION ALL SELECT prompt_id, instruction FROM prompts
    UNION ALL SELECT draw_id, text FROM draws
    UNION ALL SELECT row_id, coalesce(payload->>'content', payload->>'reply', payload->>'instruction',
                                      payload->>'text', detail) FROM quarantine
) WHERE list_contains($ids, id) GROUP BY id
"""


def failing_rows(tables: duckdb.DuckDBPyConnection, one: Expectation, most: int = SHOWN) -> list[dict[str, Any]]:
    """Some rows of a stage that an expectation did not expect: id, value and text.

    None where it speaks of all rows together, or of a column that nobody has.
    """
    column = one.arguments.get("column")
    if column is None:
        return []
    name = IDS[one.stage]
    frame = stage_frame(tables, one.stage, {column, name}).head(ROWS_SEARCHED)
    if column not in frame or name not in frame:
        return []
    places = unexpected_places(frame, one)[:most]
    return _with_texts(tables, frame.iloc[places], name, column)


def _with_texts(tables: duckdb.DuckDBPyConnection, rows: pd.DataFrame, name: str, column: str) -> list[dict[str, Any]]:
    ids: Sequence[str] = [str(value) for value in rows[name]]
    texts = dict(tables.execute(_TEXTS, {"ids": list(ids)}).fetchall())
    values = [str(value) for value in rows[column]]
    return [{"id": id_, "value": value, "text": texts.get(id_, "")} for id_, value in zip(ids, values, strict=True)]
