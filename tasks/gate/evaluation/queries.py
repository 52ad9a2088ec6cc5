"""SQL of a recipe on a stage's rows: each row that a query returns is one too many."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from kasasagi.blocks.locked_sql import locked_duckdb
from kasasagi.blocks.tables import quoted
from kasasagi.tasks.gate.evaluation.frames import stage_query
from kasasagi.tasks.gate.expectation import BATCH
from kasasagi.tasks.tables.run_tables import with_more_memory

ROWS = "batch"


class QueryError(ValueError):
    """A query that cannot be run on the rows of its stage."""


def count_unexpected(tables: duckdb.DuckDBPyConnection, stage: str, query: str) -> int:
    """Return how many rows of a stage a query returns.

    Args:
        tables: The tables of a run.
        stage: The stage.
        query: The query of the recipe.

    Raises:
        QueryError: If the query is not one SELECT.
        duckdb.Error: If it cannot be run.
    """
    with _rows_of(tables, stage) as connection:
        found = connection.execute(f"SELECT count(*) FROM {_subquery(connection, query)}").fetchone()
    return int(found[0]) if found else 0


def unexpected_ids(tables: duckdb.DuckDBPyConnection, stage: str, query: str, column: str, most: int) -> list[str]:
    """Return the ids of some rows that a query returns; none where the query returns no column of ids."""
    with _rows_of(tables, stage) as connection:
        rows = connection.execute(f"SELECT * FROM {_subquery(connection, query)} LIMIT {most}")
        names = [one[0] for one in rows.description or ()]
        return [str(row[names.index(column)]) for row in rows.fetchall()] if column in names else []


def query_problem(tables: list[duckdb.DuckDBPyConnection], stage: str, query: str) -> str | None:
    """Return why a query cannot be run on the rows of a stage; None where it can on one of some empty tables."""
    if BATCH not in query:
        return f"it does not name {BATCH}, which stands for the rows of {stage}"
    problems = [_problem(one, stage, query) for one in tables]
    return None if None in problems else problems[0]


def _problem(tables: duckdb.DuckDBPyConnection, stage: str, query: str) -> str | None:
    try:
        count_unexpected(tables, stage, query)
    except (QueryError, duckdb.Error) as error:
        known = ", ".join(one[0] for one in tables.execute(f"DESCRIBE {stage_query(tables, stage)}").fetchall())
        why = str(error).strip().partition("\n")[0].rstrip("!.")
        return f"{why}; the columns of {stage} are {known}"
    return None


@contextmanager
def _rows_of(tables: duckdb.DuckDBPyConnection, stage: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """A locked DuckDB that sees the rows of a stage alone; they lie in a file, so that memory stays small."""
    with tempfile.TemporaryDirectory(dir=_scratch(tables)) as folder:
        file = Path(folder) / "rows.parquet"
        copy = f"COPY ({stage_query(tables, stage)}) TO {quoted(file)} (FORMAT parquet)"
        with_more_memory(tables, lambda: tables.execute(copy))
        with locked_duckdb() as connection:
            from pyarrow import dataset  # it imports pandas, which takes half a second

            connection.register(ROWS, dataset.dataset(file))
            yield connection


def _scratch(tables: duckdb.DuckDBPyConnection) -> Path | None:
    """Return the folder of the run that the tables belong to; None for tables of no run."""
    found = tables.execute("SELECT current_setting('temp_directory')").fetchone()
    folder = Path(found[0]).parent if found and found[0] else None
    return folder if folder is not None and folder.is_dir() else None


def _subquery(connection: duckdb.DuckDBPyConnection, query: str) -> str:
    """Return a query as a subquery.

    Raises:
        QueryError: Unless it is one SELECT and nothing else.
    """
    text = query.replace(BATCH, ROWS).strip().rstrip(";")
    found = connection.execute("SELECT json_serialize_sql($1::VARCHAR)", [text]).fetchone()
    parsed: dict[str, Any] = json.loads(found[0]) if found else {"error": True}
    if parsed["error"]:
        syntax = f" ({parsed['error_message']})" if parsed.get("error_type") == "parser" else ""
        raise QueryError(f"it is not one SELECT{syntax}")
    if len(parsed["statements"]) != 1:
        raise QueryError("it is more than one SELECT")
    return f"(\n{text}\n)"
