"""What a gate looks at: one narrow frame a stage, worked out in DuckDB from the run's tables.

A frame is the union of its parts; a column that a part does not have is NULL there, and Great Expectations passes NULL
over, so each column speaks of its own rows alone.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import duckdb

from kasasagi.tasks.pipeline import gate_of

if TYPE_CHECKING:
    import pandas as pd


def stage_frame(tables: duckdb.DuckDBPyConnection, stage: str, columns: set[str] | None) -> "pd.DataFrame":
    """Return the rows of one stage with the columns that its expectations name; only `row` if they name none.

    A column that the stage's frame does not compute is taken from the stage's own table (content, messages, a kept
    column). A column that exists nowhere is left out, so that its expectation fails.

    Args:
        tables: The tables of the run.
        stage: The stage.
        columns: The columns; None for all.
    """
    query = stage_query(tables, stage) if columns is None else columns_query(tables, stage, columns)
    frame: pd.DataFrame = tables.execute(query).df()
    return frame


def stage_frames(
    tables: duckdb.DuckDBPyConnection, stage: str, columns: set[str], rows: int
) -> Iterator["pd.DataFrame"]:
    """Yield the same rows in frames of at most so many, so that memory does not grow with the table."""
    for batch in tables.sql(columns_query(tables, stage, columns)).to_arrow_reader(rows):
        yield batch.to_pandas()


def stage_rows(tables: duckdb.DuckDBPyConnection, stage: str) -> int:
    """Return how many rows a stage's frame has."""
    found = tables.execute(f"SELECT count(*) FROM ({gate_of(stage).frame})").fetchone()
    return int(found[0]) if found else 0


def stage_query(tables: duckdb.DuckDBPyConnection, stage: str) -> str:
    """SQL for the rows of a stage with every column that its expectations may name."""
    known = _columns(tables, f"SELECT * FROM ({gate_of(stage).frame})").keys()
    table = gate_of(stage).table
    more = _columns(tables, f"SELECT * FROM {table}").keys() if table else set()
    return columns_query(tables, stage, {*known, *more})


def columns_query(tables: duckdb.DuckDBPyConnection, stage: str, columns: set[str]) -> str:
    """SQL for the rows of a stage with some columns; those that are nowhere are left out."""
    worked_out = f"({gate_of(stage).frame}) AS f"
    known = _columns(tables, f"SELECT * FROM {worked_out}")
    names = [_column_sql("f", name, known[name]) for name in sorted(columns & known.keys())]
    gate = gate_of(stage)
    table, key = gate.table, gate.joined_by or gate.id
    if table and columns - known.keys():
        there = _columns(tables, f"SELECT * FROM {table}")
        if more := sorted((columns - known.keys()) & there.keys()):
            names += [_column_sql("t", name, there[name]) for name in more]
            worked_out += f" LEFT JOIN {table} AS t USING ({key})"
    return f"SELECT {', '.join(names) or 'true AS row'} FROM {worked_out}"


def _columns(tables: duckdb.DuckDBPyConnection, query: str) -> dict[str, str]:
    """Return the columns of a query with their types."""
    return {row[0]: row[1] for row in tables.execute(f"DESCRIBE {query}").fetchall()}


def _column_sql(table: str, name: str, kind: str) -> str:
    """SQL for one column; lists and structs as their JSON, since Great Expectations takes equal lists for different."""
    quoted = '"' + name.replace('"', '""') + '"'
    nested = kind.endswith("]") or kind.startswith(("STRUCT", "MAP"))
    return f"to_json({table}.{quoted})::VARCHAR AS {quoted}" if nested else f"{table}.{quoted}"
