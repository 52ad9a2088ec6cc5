"""Tables of a run: what is known of each, and the columns of those that all stages share."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))

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


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a run."""

    name: str
    columns: pa.Schema
    """What a user may rely on; prompts have further ones that the recipe keeps or a stage adds."""
    public: bool = True
    """Whether a run's database holds it; any other is an input of stages and stays in its shards."""
    replaced: bool = False
    """Whether a later stage may make it again: its rows then replace those of the stages before it."""
    with_kept: bool = False
    """Whether it shows the further columns of its prompts too."""


_SQL_TYPES = {pa.string(): "VARCHAR", pa.int64(): "BIGINT", pa.float64(): "DOUBLE", pa.bool_(): "BOOLEAN"}


def quoted(path: Path) -> str:
    """Return a path as SQL text, quotes and all."""
    return "'" + str(path).replace("'", "''") + "'"


def no_rows(schema: pa.Schema) -> str:
    """Return SQL for a table without rows; to register an empty Arrow table would have DuckDB import pandas."""
    return f"SELECT {', '.join(map(null_column, schema))} WHERE false"


def null_column(field: pa.Field) -> str:
    """Return SQL for a column of that name and type that is NULL everywhere."""
    return f'NULL::{_sql_type(field.type)} AS "{field.name}"'


def _sql_type(kind: pa.DataType) -> str:
    """Return how DuckDB names a type of our tables."""
    if pa.types.is_list(kind):
        return f"{_sql_type(kind.value_type)}[]"
    if pa.types.is_struct(kind):
        fields = ", ".join(f'"{field.name}" {_sql_type(field.type)}' for field in kind)
        return f"STRUCT({fields})"
    return _SQL_TYPES[kind]
