"""The columns of every table: what a run's tables hold and what a user may rely on."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))

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
PROMPTS = pa.schema(
    [
        ("prompt_id", pa.string()),
        ("messages", MESSAGES),
        ("instruction", pa.string()),
        ("source", pa.string()),
        ("position", pa.int64()),
        ("finish_reason", pa.string()),
        ("stop_reason", pa.string()),
    ]
)
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
CALLS = pa.schema(
    [
        ("call_id", pa.string()),
        ("stage", pa.string()),
        ("model", pa.string()),
        ("request", pa.string()),
        ("reply", pa.string()),
        ("finish_reason", pa.string()),
        ("prompt_tokens", pa.int64()),
        ("completion_tokens", pa.int64()),
        ("cost_usd", pa.float64()),
        ("attempts", pa.int64()),
        ("reused", pa.bool_()),
        ("error", pa.string()),
        ("row_id", pa.string()),
    ]
)
QUARANTINE = pa.schema(
    [
        ("stage", pa.string()),
        ("row_id", pa.string()),
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("payload", pa.string()),
    ]
)
GATES = pa.schema(
    [
        ("stage", pa.string()),
        ("scope", pa.string()),
        ("expectation", pa.string()),
        ("severity", pa.string()),
        ("success", pa.bool_()),
        ("observed", pa.string()),
        ("detail", pa.string()),
    ]
)
STAGES = pa.schema(
    [
        ("stage", pa.string()),
        ("rows_in", pa.int64()),
        ("rows_out", pa.int64()),
        ("quarantined", pa.int64()),
        ("calls_paid", pa.int64()),
        ("calls_reused", pa.int64()),
        ("prompt_tokens", pa.int64()),
        ("completion_tokens", pa.int64()),
        ("cost_usd", pa.float64()),
        ("seconds", pa.float64()),
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

SOURCE_LABELS = pa.schema([("prompt_id", pa.string()), ("chosen_id", pa.string()), ("rejected_id", pa.string())])
AUDIT = pa.schema(
    [*SOURCE_LABELS, ("chosen_rating", pa.float64()), ("rejected_rating", pa.float64()), ("verdict", pa.string())]
)

SCHEMAS: dict[str, pa.Schema] = {
    "loaded": PROMPTS,
    "draws": DRAWS,
    "prompts": PROMPTS,
    "turns": TURNS,
    "responses": RESPONSES,
    "ratings": RATINGS,
    "pairs": PAIRS,
    "calls": CALLS,
    "quarantine": QUARANTINE,
    "gates": GATES,
    "claims": SOURCE_LABELS,
    "audit": AUDIT,
    "rating_histogram": RATING_HISTOGRAM,
    "judge_figures": JUDGE_FIGURES,
}
PUBLIC = tuple(name for name in SCHEMAS if name not in ("loaded", "claims"))
"""The tables that a run's database holds; `loaded` and `claims` are inputs of stages and stay in their shards."""

_SQL_TYPES = {pa.string(): "VARCHAR", pa.int64(): "BIGINT", pa.float64(): "DOUBLE", pa.bool_(): "BOOLEAN"}


def quoted(path: Path) -> str:
    """Return a path as SQL text, quotes and all."""
    return "'" + str(path).replace("'", "''") + "'"


def no_rows(schema: pa.Schema) -> str:
    """Return SQL for a table without rows; to register an empty Arrow table would have DuckDB import pandas."""
    columns = ", ".join(f'NULL::{_sql_type(field.type)} AS "{field.name}"' for field in schema)
    return f"SELECT {columns} WHERE false"


def _sql_type(kind: pa.DataType) -> str:
    """Return how DuckDB names a type of our tables."""
    if pa.types.is_list(kind):
        return f"{_sql_type(kind.value_type)}[]"
    if pa.types.is_struct(kind):
        fields = ", ".join(f'"{field.name}" {_sql_type(field.type)}' for field in kind)
        return f"STRUCT({fields})"
    return _SQL_TYPES[kind]


def table(name: str, rows: list[dict[str, Any]], more: Sequence[pa.Field] = ()) -> pa.Table:
    """Return some rows as an Arrow table with the columns of that table and perhaps more; a missing key is NULL."""
    return pa.Table.from_pylist(rows, schema=pa.schema([*SCHEMAS[name], *more]))
