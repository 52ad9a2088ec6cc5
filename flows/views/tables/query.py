"""A user's SQL on a run's tables: it reads those tables, and can neither write anything nor read anything else."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import duckdb
from duckdb import DuckDBPyConnection

from kasasagi.blocks.hints import command
from kasasagi.blocks.tables import quoted
from kasasagi.blocks.workspace.runs import Run
from kasasagi.flows.errors import UsageError
from kasasagi.flows.views.safe_text import nearest, plural, visible
from kasasagi.flows.views.table_reader import fetch, reading
from kasasagi.flows.views.tables.pair_texts import show_texts
from kasasagi.tasks.tables import PUBLIC

ALLOWED = "SELECT, WITH, FROM, VALUES, PIVOT, DESCRIBE, SHOW and SUMMARIZE"
COUNT_AT_MOST = 1_000_000
BATCH_ROWS = 2_000
MEMORY = "1GB"
_BEGINS = re.compile(
    r"\s*(?:\(|--|/\*|(?:select|with|from|values|pivot|unpivot|describe|desc|show|summarize|table)\b)", re.I
)
# A WITH clause may hold these, and COPY there writes even a database that is open for reading alone.
_WRITING_WORDS = frozenset({"copy", "insert", "update", "delete", "merge"})
_SETTINGS = (
    "python_enable_replacements = false",
    "autoinstall_known_extensions = false",
    "autoload_known_extensions = false",
)
_LOCKS = ("enable_external_access = false", "lock_configuration = true")


def looks_like_query(text: str) -> bool:
    """Return whether an argument is a query rather than the name of a run."""
    return bool(_BEGINS.match(text)) or len(text.split()) > 1


class QueryResult:
    """The rows of a query, read as they are asked for."""

    def __init__(self, connection: DuckDBPyConnection, sql: str, run: Run) -> None:
        self._connection, self._sql, self._run = connection, sql, run
        with _explain_errors(connection, run):
            _check(connection, sql)

    @cached_property
    def names(self) -> list[str]:
        """The names of the columns; the query starts here."""
        with _explain_errors(self._connection, self._run):
            self._connection.execute(self._sql)
        return [column[0] for column in self._connection.description or []]

    def rows(self, most: int) -> Sequence[Sequence[Any]]:
        """Return the next rows, at most so many.

        Raises:
            UsageError: If the query fails on its way.
        """
        with _explain_errors(self._connection, self._run):
            return self._connection.fetchmany(most) if self.names else []

    def batches(self) -> Iterator[Sequence[Sequence[Any]]]:
        """Yield all rows that are left, some at a time."""
        while rows := self.rows(BATCH_ROWS):
            yield rows

    def rest(self) -> int:
        """Return how many rows are left; the count stops soon after COUNT_AT_MOST."""
        left = 0
        for rows in self.batches():
            left += len(rows)
            if left > COUNT_AT_MOST:
                break
        return left

    def arrow(self) -> Any:
        """Return all rows of the query as an Arrow record batch reader, for a file that keeps the types."""
        with _explain_errors(self._connection, self._run):
            return self._connection.sql(self._sql).to_arrow_reader(BATCH_ROWS)


@contextmanager
def query(run: Run, sql: str) -> Iterator[QueryResult]:
    """The result of one reading statement on a run's tables.

    Raises:
        UsageError: In one sentence, for a statement that is wrong, that would write, or that reads other files.
    """
    with reading(run, alone=True) as connection:
        connection.execute(f"SET memory_limit = '{MEMORY}'; SET temp_directory = {quoted(run.folder / 'scratch')}")
        show_texts(connection)
        _lock(connection, run)
        yield QueryResult(connection, sql, run)


def table_columns(connection: DuckDBPyConnection) -> dict[str, list[str]]:
    """Return the tables of a run and their columns."""
    columns: dict[str, list[str]] = {}
    query = (
        "SELECT DISTINCT table_name, column_name, column_index FROM duckdb_columns() WHERE NOT internal ORDER BY ALL"
    )
    for row in fetch(connection, query):
        if row["table_name"] in (*PUBLIC, "stages"):
            columns.setdefault(row["table_name"], []).append(row["column_name"])
    return columns


def _lock(connection: DuckDBPyConnection, run: Run) -> None:
    """Close everything but the run's own shards, for as long as this DuckDB lives."""
    store = run.workspace.shards
    paths = dict.fromkeys(str(store.path(shard)) for h in run.handles() for shard in h.handle.shards.values())
    quoted = ", ".join("'" + path.replace("'", "''") + "'" for path in paths)
    for setting in (*_SETTINGS, f"allowed_paths = [{quoted}]", *_LOCKS):
        connection.execute(f"SET {setting}")


def _check(connection: DuckDBPyConnection, sql: str) -> None:
    statements = connection.extract_statements(sql)
    if len(statements) != 1:
        raise UsageError(
            f"a query is one statement, and this is {plural(len(statements), 'statement')}: run them one by one"
        )
    reads = statements[0].type in (duckdb.StatementType.SELECT, duckdb.StatementType.MULTI)
    writing = _WRITING_WORDS & set(_keywords(sql))
    if not reads or writing:
        what = f"the word {min(writing).upper()}" if writing else f"a {statements[0].type.name} statement"
        raise UsageError(
            f"a query only reads, and {what} does more: {ALLOWED} are allowed; "
            "put a column of that name into double quotes, and use --format and -o to write a file"
        )


def _keywords(sql: str) -> Iterator[str]:
    """Yield the unquoted words of a statement, outside texts and comments."""
    data = sql.encode()
    for start, kind in duckdb.tokenize(sql):
        if kind in (duckdb.token_type.keyword, duckdb.token_type.identifier) and data[start : start + 1] != b'"':
            word = re.match(rb"[A-Za-z_]+", data[start:])
            yield word[0].decode().lower() if word else ""


@contextmanager
def _explain_errors(connection: DuckDBPyConnection, run: Run) -> Iterator[None]:
    """Turn DuckDB's errors into one sentence that knows this run's tables and columns."""
    try:
        yield
    except duckdb.Error as error:
        raise UsageError(_sentence(connection, run, error)) from error


def _sentence(connection: DuckDBPyConnection, run: Run, error: Exception) -> str:
    text = visible(str(error)).split("\n\n")[0]
    columns = table_columns(connection)
    if found := re.search(r"Table with name (.+?) does not exist", text):
        hint = nearest(found[1], columns)
        return (
            f"there is no table {found[1]!r} in run {run.id}{hint or ':'} its tables are {', '.join(sorted(columns))}"
        )
    missing = re.search(r'column "(.+?)" not found|does not have a column named "(.+?)"', text)
    if missing:
        name = missing[1] or missing[2]
        everything = sorted({column for some in columns.values() for column in some})
        return f"there is no column {name!r} in that query{nearest(name, everything)}{_where(name, columns, run)}"
    if "disabled by configuration" in text:
        return f"a query reads the tables of run {run.id} and no files: {' '.join(text.split())}"
    if "Out of Memory" in text:
        return (
            f"the query needs more than {MEMORY} of memory: name the columns that you want, or fewer rows (limit 1000)"
        )
    kind, _, what = " ".join(text.split()).partition(": ")
    return f"the query cannot be run: {what or kind}"


def _where(name: str, columns: dict[str, list[str]], run: Run) -> str:
    tables = [table for table, some in columns.items() if name in some]
    if tables:
        return f": it is a column of {', '.join(sorted(tables))}"
    table = "pairs" if "pairs" in columns else min(columns)
    example = command("sql", run.id, f"describe {table}", workspace=run.workspace.folder)
    return f" ({example} lists the columns of a table)"
