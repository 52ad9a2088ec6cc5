"""Reading the tables of a run."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import duckdb
from duckdb import DuckDBPyConnection

from kasasagi.blocks.workspace.runs import Run
from kasasagi.flows.errors import KasasagiError
from kasasagi.flows.views.safe_text import visible
from kasasagi.tasks.tables.run_tables import open_tables

MEMORY = "256MB"


@contextmanager
def reading(run: Run, alone: bool = False) -> Iterator[DuckDBPyConnection]:
    """A connection that has all of a run's tables, closed at the end.

    With `alone` it shares its DuckDB with no other connection of this process, so that it can be locked.

    Raises:
        KasasagiError: If they cannot be read.
    """
    try:
        connection = _attach(run) if alone and run.database.exists() else open_tables(run)
    except (duckdb.Error, OSError, ValueError) as error:
        what = visible(str(error)).splitlines()[0]
        raise KasasagiError(
            f"the tables of run {run.id} cannot be read ({what}): run its recipe again, what was paid for is kept"
        ) from error
    with connection:
        yield connection


def _attach(run: Run) -> DuckDBPyConnection:
    connection = duckdb.connect(":memory:", config={"memory_limit": MEMORY})
    path = str(run.database).replace("'", "''")
    connection.execute(f"ATTACH '{path}' AS run (READ_ONLY)")
    connection.execute("USE run")
    return connection


def fetch(
    connection: DuckDBPyConnection, query: str, values: Sequence[Any] | dict[str, Any] = ()
) -> list[dict[str, Any]]:
    """Return all rows of a query as dictionaries; values are its parameters, by their places or names."""
    cursor = connection.execute(query, values)
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
