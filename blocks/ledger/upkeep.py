"""The upkeep of a ledger: what it holds, what is pruned, how its room is given back; all beside active runs.

Every change is made in transactions of some thousand entries, so that a run's writer waits for milliseconds at most.
"""

import os
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydantic import Field

from kasasagi.blocks.hints import command
from kasasagi.blocks.ledger.store import (
    FILE_NAME,
    UNREADABLE,
    LedgerError,
    failure,
    format_of,
    open_database,
    workspace_of,
)
from kasasagi.blocks.models.kinds import Config

AT_ONCE = 5_000
KEYS_AT_ONCE = 500
PAGES_AT_ONCE = 2_000
INCREMENTAL = 2
_TEXT = "CAST(reply AS TEXT)"
_TOKENS = f"sum(CASE WHEN json_valid({_TEXT}) THEN coalesce(json_extract({_TEXT}, '$.%s'), 0) ELSE 0 END)"
_BY_MODEL = f"""
SELECT model, coalesce(error, ''), count(*), {_TOKENS % "prompt_tokens"}, {_TOKENS % "completion_tokens"},
       min(at), max(at), sum(length(reply))
FROM entries GROUP BY 1, 2 ORDER BY 1, 2
"""


class ModelEntries(Config):
    """What the ledger holds of one model."""

    model: str = Field(description="The model's identity.")
    answers: int = Field(0, description="Answers.")
    failures: dict[str, int] = Field({}, description="Kept failures by reason.")
    prompt_tokens: int = Field(0, description="Prompt tokens of all entries.")
    completion_tokens: int = Field(0, description="Completion tokens of all entries.")
    reply_bytes: int = Field(0, description="Bytes of all replies.")
    first: float = Field(description="When the oldest entry was made, in seconds since the epoch.")
    last: float = Field(description="When the latest entry was made, in seconds since the epoch.")

    @property
    def entries(self) -> int:
        """Answers and kept failures."""
        return self.answers + sum(self.failures.values())


class Statistics(Config):
    """What a ledger holds, and how much room it takes."""

    path: Path = Field(description="The ledger's file.")
    models: list[ModelEntries] = Field(description="Its entries by model.")
    file_bytes: int = Field(description="Bytes of the file and of its write-ahead log.")
    free_bytes: int = Field(description="Bytes of those that hold nothing: compacting gives them back.")

    @property
    def entries(self) -> int:
        """All entries."""
        return sum(model.entries for model in self.models)


class PruneResult(Config):
    """What was pruned, or would be."""

    entries: int = Field(0, description="Entries that were removed, or would be.")
    reply_bytes: int = Field(0, description="Bytes of their replies.")
    spared: int = Field(0, description="Entries that stay, though selected, since an active run may need them.")

    def plus(self, other: "PruneResult") -> "PruneResult":
        """Return the sum of two."""
        return PruneResult(
            entries=self.entries + other.entries,
            reply_bytes=self.reply_bytes + other.reply_bytes,
            spared=self.spared + other.spared,
        )


@contextmanager
def open_ledger(folder: Path, to_read: bool = False) -> Iterator[sqlite3.Connection]:
    """The database of a ledger that is there; one that is only read may lie where nothing can be written.

    Raises:
        LedgerError: If it is not there, or cannot be read or written.
    """
    path = folder / FILE_NAME
    if not path.is_file() or not path.stat().st_size:
        make = command("run", workspace=workspace_of(path))
        raise LedgerError(f"there is no ledger at {path}; {make} makes one, and --workspace names another place")
    if to_read and not _writable(path):
        with open_read_only(path) as connection:
            yield connection
        return
    try:
        connection = open_database(path)
        try:
            yield connection
        finally:
            connection.close()
    except UNREADABLE as error:
        raise failure(path, "read or written", error) from error


@contextmanager
def open_read_only(path: Path) -> Iterator[sqlite3.Connection]:
    """A ledger's file, which may lie where nothing can be written and is left as it is. Raises LedgerError."""
    if not path.is_file():
        raise LedgerError(f"there is no ledger at {path}: name a workspace's folder, or a {FILE_NAME}")
    try:
        connection = sqlite3.connect(
            f"{path.resolve().as_uri()}?{_read_only_uri(path)}", uri=True, isolation_level=None
        )
        try:
            connection.execute("PRAGMA query_only = ON")
            if format_of(connection, path) == 0:
                raise LedgerError(f"{path} is not a ledger: it has none of its tables")
            yield connection
        finally:
            connection.close()
    except UNREADABLE as error:
        raise failure(path, "read", error) from error


def _read_only_uri(path: Path) -> str:
    """Return how a file is opened so that a run which begins meanwhile is seen, and nothing is left beside it.

    With a log beside it, it is read as it is: a run is active there, or was killed. Without one SQLite makes the log,
    and removes it again, where it may write there; where it may not, nobody changes the file.
    """
    log, index = (path.with_name(f"{path.name}-{name}") for name in ("wal", "shm"))
    if index.exists() or (log.exists() and log.stat().st_size):
        return "mode=ro"
    return "mode=rw" if _writable(path) else "mode=ro&immutable=1"


def _writable(path: Path) -> bool:
    return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)


def statistics(folder: Path) -> Statistics:
    """Return what a ledger holds, by model; reads all of it once. Raises LedgerError."""
    path = folder / FILE_NAME
    models: dict[str, ModelEntries] = {}
    with open_ledger(folder, to_read=True) as connection:
        for row in connection.execute(_BY_MODEL):
            found = _entries(*row)
            models[found.model] = _merge(models[found.model], found) if found.model in models else found
        (free,), (size,) = (connection.execute(f"PRAGMA {name}").fetchone() for name in ("freelist_count", "page_size"))
    files = (path, path.with_name(f"{path.name}-wal"))
    total = sum(file.stat().st_size for file in files if file.exists())
    return Statistics(path=path, models=list(models.values()), file_bytes=total, free_bytes=free * size)


def _entries(model: str, error: str, count: int, *sums: float) -> ModelEntries:
    prompt, completion, first, last, size = sums
    return ModelEntries(
        model=str(model),
        answers=0 if error else count,
        failures={error: count} if error else {},
        prompt_tokens=int(prompt),
        completion_tokens=int(completion),
        reply_bytes=int(size),
        first=first,
        last=last,
    )


def _merge(one: ModelEntries, other: ModelEntries) -> ModelEntries:
    sums = ("answers", "prompt_tokens", "completion_tokens", "reply_bytes")
    added = {name: getattr(one, name) + getattr(other, name) for name in sums}
    spans = {"first": min(one.first, other.first), "last": max(one.last, other.last)}
    return one.model_copy(update={**added, **spans, "failures": {**one.failures, **other.failures}})


def prune(
    folder: Path,
    before: float | None,
    keys: Sequence[bytes] | None,
    needed: Callable[[], Collection[str] | None],
    dry_run: bool = False,
) -> PruneResult:
    """Remove entries made before a moment (seconds since the epoch), of some keys, or both.

    needed is asked before every transaction: it names the models whose entries stay, or gives None where all stay.
    Raises LedgerError.
    """
    result = PruneResult()
    with open_ledger(folder) as connection:
        for condition, values in _pieces(connection, keys):
            clauses, given = [condition], list(values)
            if before is not None:
                clauses.append("at < ?")
                given.append(before)
            result = result.plus(_prune_some(connection, " AND ".join(clauses), given, needed(), dry_run))
        if not dry_run:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
    return result


def _pieces(connection: sqlite3.Connection, keys: Sequence[bytes] | None) -> Iterator[tuple[str, Sequence[object]]]:
    """Return conditions that divide the rows into pieces small enough for one transaction."""
    if keys is not None:
        for start in range(0, len(keys), KEYS_AT_ONCE):
            some = keys[start : start + KEYS_AT_ONCE]
            yield f"key IN ({','.join('?' * len(some))})", some
        return
    piece = "SELECT max(id) FROM (SELECT id FROM entries WHERE id > ? AND id <= ? ORDER BY id LIMIT ?)"
    start, last = 0, connection.execute("SELECT max(id) FROM entries").fetchone()[0] or 0
    while (end := connection.execute(piece, (start, last, AT_ONCE)).fetchone()[0] or 0) > start:
        yield "id > ? AND id <= ?", (start, end)
        start = end


def _prune_some(
    connection: sqlite3.Connection, condition: str, values: Sequence[object], needed: Collection[str] | None, dry: bool
) -> PruneResult:
    marks = ",".join("?" * len(needed or ()))
    stays = "1" if needed is None else f"model IN ({marks})"
    count = f"SELECT total({stays}), count(*), total((NOT {stays}) * length(reply)) FROM entries WHERE {condition}"
    connection.execute("BEGIN" if dry else "BEGIN IMMEDIATE")
    try:
        row = connection.execute(count, [*(needed or ()), *(needed or ()), *values]).fetchone()
        spared, among, size = (int(number) for number in row)
        if not dry and among > spared:
            connection.execute(f"DELETE FROM entries WHERE {condition} AND NOT {stays}", [*values, *(needed or ())])
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    return PruneResult(entries=among - spared, reply_bytes=size, spared=spared)


def compact(folder: Path, alone: bool) -> tuple[int, int]:
    """Give the room of removed entries back to the disk; the file's bytes before and after.

    Beside an active run (alone is False) free pages are given back some at a time; a ledger made by an older
    version can only be rewritten, which holds writers up, so beside a run just its log is folded in. Raises
    LedgerError.
    """
    with open_ledger(folder) as connection:
        before = _size(connection)
        (mode,) = connection.execute("PRAGMA auto_vacuum").fetchone()
        if mode == INCREMENTAL:
            while connection.execute("PRAGMA freelist_count").fetchone() != (0,):
                connection.executescript(f"PRAGMA incremental_vacuum({PAGES_AT_ONCE})")
        elif alone:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("VACUUM")
        connection.execute(f"PRAGMA wal_checkpoint({'TRUNCATE' if alone else 'PASSIVE'})").fetchall()
        return before, _size(connection)


def _size(connection: sqlite3.Connection) -> int:
    """Return the bytes of a database once its log is folded in."""
    pages, size = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
    return int(pages * size)
