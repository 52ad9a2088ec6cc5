"""A run's tables in DuckDB: views over its shards while it is active, its own database once it has ended."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import duckdb
import pyarrow as pa

from kasasagi.blocks.tables import PROMPTS, STAGES, Table, no_rows, quoted
from kasasagi.blocks.workspace.runs import Run, RunHandle, WorkspaceError
from kasasagi.blocks.workspace.shards import Account
from kasasagi.tasks.tables import PUBLIC, TABLES

Given = TypeVar("Given")
MEMORY = "128MB"
MORE_MEMORY = ("512MB", "2GB")


def open_tables(run: Run) -> duckdb.DuckDBPyConnection:
    """Return a connection with all tables of a run.

    A finished run is read from its run.duckdb, read-only. An active or killed run is read from its shards by a DuckDB
    in memory, so that nothing opens a file that is being written.
    """
    if run.database.exists():
        return _limit_memory(duckdb.connect(str(run.database), read_only=True), run)
    return tables_of(run, run.handles())


def tables_of(run: Run, handles: Sequence[RunHandle]) -> duckdb.DuckDBPyConnection:
    """Return a connection that has the tables of some of a run's handles, in memory."""
    connection = _limit_memory(duckdb.connect(":memory:"), run)
    _create_views(connection, run, handles)
    return connection


def empty_tables(kept: Sequence[pa.Field] = ()) -> duckdb.DuckDBPyConnection:
    """Return a connection with all tables of a run, without rows.

    Args:
        kept: Columns of the prompts that the recipe keeps from the source.
    """
    connection = duckdb.connect(":memory:")
    more = [field for field in kept if field.name not in PROMPTS.names]
    for name, table in TABLES.items():
        columns = pa.schema([*table.columns, *more]) if table.columns is PROMPTS else table.columns
        connection.register(f"empty_{name}", columns.empty_table())
        connection.execute(f"CREATE VIEW all_{name} AS SELECT * FROM empty_{name}")
    _create_public_views(connection, [])
    return connection


def _limit_memory(connection: duckdb.DuckDBPyConnection, run: Run) -> duckdb.DuckDBPyConnection:
    """Without a limit DuckDB would take most of the machine's memory; what does not fit goes to the run's folder."""
    connection.execute(f"SET memory_limit = '{MEMORY}'")
    connection.execute(f"SET temp_directory = {quoted(run.folder / 'scratch')}")
    return connection


def with_more_memory(connection: duckdb.DuckDBPyConnection, ask: Callable[[], Given]) -> Given:
    """Return what a query of a connection gives; one of rows too long for the usual memory limit is asked again with
    more.
    """
    for limit in MORE_MEMORY:
        try:
            return ask()
        except duckdb.OutOfMemoryException:
            connection.execute(f"SET memory_limit = '{limit}'")
    return ask()


def build_database(run: Run) -> None:
    """Write run.duckdb from the run's shards: under another name, renamed when it is whole. Raises WorkspaceError."""
    new = run.folder / "run.duckdb.new"
    try:
        _write_within(run, new, [MEMORY, *MORE_MEMORY])
        new.replace(run.database)
    except (duckdb.Error, OSError) as error:
        why = str(error).splitlines()[0]
        raise WorkspaceError(
            f"the tables {run.database} cannot be written ({why}): make room and run again, what was paid for is kept"
        ) from error
    finally:
        new.unlink(missing_ok=True)


def _write_within(run: Run, file: Path, limits: Sequence[str]) -> None:
    """Write the database within the first memory limit that it fits in; rows of megabytes need more than the usual."""
    for place, limit in enumerate(limits, start=1):
        file.unlink(missing_ok=True)
        try:
            return _write_database(run, file, limit)
        except (duckdb.OutOfMemoryException, duckdb.TransactionException):
            if place == len(limits):
                raise


def _write_database(run: Run, file: Path, memory: str) -> None:
    with duckdb.connect(":memory:") as connection:
        _limit_memory(connection, run)
        connection.execute(f"SET memory_limit = '{memory}'")
        _create_views(connection, run, run.handles())
        connection.execute(f"ATTACH {quoted(file)} AS ended")
        for name in [*PUBLIC, "stages"]:
            connection.execute(f"CREATE TABLE ended.{name} AS SELECT * FROM {name}")
        connection.execute("DETACH ended")


def stage_accounts(handles: Sequence[RunHandle]) -> dict[str, Account]:
    """Return the account of each stage, in the order of their first chunks: the sum over its chunks as this run counts
    them.

    What counts nothing is no stage: the outcomes of a gate, or a report.
    """
    sums: dict[str, dict[str, float]] = {}
    for counted in handles:
        if counted.handle.account != Account():
            total = sums.setdefault(counted.handle.stage, dict.fromkeys(Account.model_fields, 0))
            for name, value in counted.account.model_dump().items():
                total[name] += value
    return {stage: Account.model_validate(total) for stage, total in sums.items()}


def _create_views(connection: duckdb.DuckDBPyConnection, run: Run, handles: Sequence[RunHandle]) -> None:
    for name, table in TABLES.items():
        connection.execute(f"CREATE VIEW all_{name} AS {_union(run, handles, table)}")
    _create_public_views(connection, handles)


def _create_public_views(connection: duckdb.DuckDBPyConnection, handles: Sequence[RunHandle]) -> None:
    """Make the views that users know of those that hold all rows."""
    kept = _kept_columns(connection)
    for name, table in TABLES.items():
        connection.execute(f"CREATE VIEW {name} AS {_with_kept(table, kept)}")
    connection.execute(f"CREATE TABLE stage_rows AS {no_rows(STAGES)}")
    places = ", ".join("?" * len(STAGES.names))
    for stage, account in stage_accounts(handles).items():
        row = {"stage": stage, **account.model_dump()}
        connection.execute(f"INSERT INTO stage_rows VALUES ({places})", [row[name] for name in STAGES.names])
    connection.execute("CREATE VIEW stages AS SELECT * FROM stage_rows")


def _union(run: Run, handles: Sequence[RunHandle], table: Table) -> str:
    """SQL for all rows of a table; a reused chunk's calls are reused and cost nothing in this run."""
    store, name = run.workspace.shards, table.name
    last = stage_making(name, handles) if table.replaced else None
    parts = []
    for reused in (False, True):
        here = [h for h in handles if h.reused is reused and name in h.handle.shards]
        shards = [h.handle.shards[name] for h in here if last in (None, h.handle.stage)]
        files = ", ".join(quoted(store.path(shard)) for shard in shards if shard.rows)
        if files:
            columns = "* REPLACE (true AS reused, 0.0::DOUBLE AS cost_usd)" if reused and name == "calls" else "*"
            parts.append(f"SELECT {columns} FROM read_parquet([{files}], union_by_name = true)")
    return " UNION ALL BY NAME ".join(parts) or no_rows(table.columns)


def prompts_to_answer(handles: Sequence[RunHandle]) -> int:
    """Return how many prompts a run has to answer, once it has begun to: those that all stages before have left."""
    last = stage_making("prompts", handles)
    made = [
        one.handle.shards["prompts"] for one in handles if one.handle.stage == last and "prompts" in one.handle.shards
    ]
    return sum(shard.rows for shard in made)


def stage_making(name: str, handles: Sequence[RunHandle]) -> str | None:
    """Return the stage whose rows of a table continue: one that makes the table again replaces those before it."""
    making = dict.fromkeys(one.handle.stage for one in handles if name in one.handle.shards)
    return next(reversed(making), None)


def _kept_columns(connection: duckdb.DuckDBPyConnection) -> list[str]:
    columns = [row[0] for row in connection.execute("DESCRIBE all_prompts").fetchall()]
    return [name for name in columns if name not in PROMPTS.names]


def _with_kept(table: Table, kept: Sequence[str]) -> str:
    if not table.with_kept or not kept:
        return f"SELECT * FROM all_{table.name}"
    own = set(table.columns.names)
    columns = ", ".join(f"p.{identifier(column)}" for column in kept if column not in own)
    join = "LEFT JOIN all_prompts AS p USING (prompt_id)"
    return f"SELECT t.*{', ' + columns if columns else ''} FROM all_{table.name} AS t {join}"


def identifier(name: str) -> str:
    """Return a column's name as SQL text, quotes and all."""
    return '"' + name.replace('"', '""') + '"'
