"""Whether a ledger is what was written, in its structure and in every entry; and what can be taken from another."""

import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import Field

from kasasagi.blocks.ledger.store import (
    FILE_NAME,
    INSERT,
    UNREADABLE,
    DamagedEntryError,
    LedgerError,
    Row,
    add_seals,
    failure,
    has_seals,
    open_database,
    read_row,
    seal_of,
)
from kasasagi.blocks.ledger.upkeep import open_ledger, open_read_only
from kasasagi.blocks.models.kinds import Config

AT_ONCE = 1_000
NAMED = 20
LEAST_ENTRY_BYTES = 32
SETTLE_S = 0.002
LARGEST_NUMBER = 2**63 - 1
HEADER_BYTES = 100
LARGEST_PAGE = 65_536


class CheckResult(Config):
    """What a check of a ledger found."""

    entries: int = Field(0, description="Entries that were read.")
    unsealed: int = Field(0, description="Entries of older versions, which carry no seal; they were read all the same.")
    structure: list[str] = Field([], description="What SQLite found wrong with the file, in its words.")
    damaged: list[str] = Field([], description="The first damaged entries, one sentence each.")
    damaged_entries: int = Field(0, description="How many entries are damaged.")
    repaired: bool = Field(False, description="Whether the damaged entries were removed.")

    @property
    def sound(self) -> bool:
        """Whether nothing was found."""
        return not self.structure and not self.damaged_entries


class ImportResult(Config):
    """What was taken over from another ledger."""

    taken: int = Field(0, description="Entries that are new here.")
    known: int = Field(0, description="Entries that were here already.")
    damaged: int = Field(0, description="Damaged entries, which were skipped.")
    unreadable: bool = Field(False, description="Whether a part of the other file could not be read at all.")


def check(folder: Path, repair: bool = False) -> CheckResult:
    """Look at a ledger's structure and at every entry; repair removes damaged entries, so that they are asked again.

    Nothing is removed where the file's structure itself is damaged. Raises LedgerError.
    """
    with open_ledger(folder, to_read=not repair) as connection:
        structure = _structure(connection)
        read = unsealed = 0
        damaged: dict[int, str] = {}
        for number, row in _rows(connection, folder / FILE_NAME):
            if isinstance(row, Exception):
                structure.append(str(row))
                continue
            read, unsealed = read + 1, unsealed + (row[-1] is None)
            if (why := _damage(row)) is not None:
                damaged[number] = why
        repaired = bool(repair and damaged and not structure)
        if repaired:
            _remove(connection, list(damaged))
    return CheckResult(
        entries=read,
        unsealed=unsealed,
        structure=list(dict.fromkeys(structure)),
        damaged=list(damaged.values())[:NAMED],
        damaged_entries=len(damaged),
        repaired=repaired,
    )


def _structure(connection: sqlite3.Connection) -> list[str]:
    """Return what SQLite finds wrong with the file itself; a page can be too damaged even for that."""
    try:
        found = connection.execute(f"PRAGMA integrity_check({NAMED})").fetchall()
    except UNREADABLE as error:
        return [str(error)]
    return [str(row[0]) for row in found if row[0] != "ok"]


def _damage(row: Row) -> str | None:
    try:
        read_row(row)
    except DamagedEntryError as damage:
        return str(damage)
    return None


def _remove(connection: sqlite3.Connection, numbers: list[int]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany("DELETE FROM entries WHERE id = ?", [(number,) for number in numbers])
    connection.execute("COMMIT")


def _rows(connection: sqlite3.Connection, path: Path) -> Iterator[tuple[int, Row | Exception]]:
    """Yield all entries by number, some at a time, so that no snapshot is held for long; an error where some are lost.

    A damaged file can name numbers beyond all bounds, or the same pages again and again: no more is read, and no more
    numbers are passed over, than the file has room for entries.
    """
    seal = "seal" if has_seals(connection) else "NULL"
    query = f"SELECT id, key, at, model, error, reply, {seal} FROM entries WHERE id > ? AND id <= ? ORDER BY id LIMIT ?"
    start, last, left = 0, _last(connection), _room(path)
    while start < last and left > 0:
        try:
            found = connection.execute(query, (start, last, AT_ONCE)).fetchall()
        except UNREADABLE as error:
            yield start, error
            yield from _one_by_one(connection, query, start)
            start, left = start + AT_ONCE, left - AT_ONCE
        else:
            yield from ((row[0], row[1:]) for row in found)
            left -= len(found)
            start = max(start + 1, *(row[0] for row in found)) if found else last


def _one_by_one(connection: sqlite3.Connection, query: str, start: int) -> Iterator[tuple[int, Row]]:
    """Yield those entries of a piece that can be read at all."""
    for number in range(start, start + AT_ONCE):
        try:
            found = connection.execute(query, (number, number + 1, 1)).fetchall()
        except UNREADABLE:
            continue
        yield from ((row[0], row[1:]) for row in found)


def _last(connection: sqlite3.Connection) -> int:
    """Return the number of the last entry; where the file is too damaged to say, the largest that there can be."""
    try:
        return int(connection.execute("SELECT max(id) FROM entries").fetchone()[0] or 0)
    except UNREADABLE:
        return LARGEST_NUMBER


def _room(path: Path) -> int:
    """More entries than a file and its log can hold."""
    files = (path, path.with_name(f"{path.name}-wal"))
    return sum(file.stat().st_size for file in files if file.exists()) // LEAST_ENTRY_BYTES + AT_ONCE


@contextmanager
def open_to_rescue(path: Path, room: Path) -> Iterator[sqlite3.Connection]:
    """A ledger's file to take entries from, whatever became of it; it is left as it is.

    One that was cut off SQLite does not read at all: it is read from a copy in the folder room, which is filled up to
    its full length, so that only what was cut off is missing. Raises LedgerError.
    """
    if not _is_cut_off(path):
        with open_read_only(path) as connection:
            yield connection
        return
    with _padded_copy(path, room) as copy, open_read_only(copy) as connection:
        yield connection


@contextmanager
def _padded_copy(path: Path, room: Path) -> Iterator[Path]:
    """A copy of a file that was cut off, with its log, as long as it was; it takes no more room than the file."""
    room.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=room, prefix="rescue-") as folder:
        copy = Path(folder) / path.name
        try:
            for file in (path, path.with_name(f"{path.name}-wal")):
                if file.exists():
                    shutil.copyfile(file, copy.with_name(file.name))
            os.truncate(copy, _full_size(path))
        except OSError as error:
            raise LedgerError(
                f"the ledger {path} cannot be copied to {room} to rescue it ({error}): make room"
            ) from error
        yield copy


def _is_cut_off(path: Path) -> bool:
    """Return whether a file cannot be opened, and is shorter than it says itself."""
    try:
        with open_read_only(path):
            return False
    except LedgerError as error:
        if not isinstance(error.__cause__, sqlite3.DatabaseError):
            raise
        if path.stat().st_size >= _full_size(path):
            why = f"its beginning is not a ledger's ({error.__cause__})"
            raise LedgerError(f"nothing can be imported from {path}, {why}: restore a copy of it") from error
        return True


def _full_size(path: Path) -> int:
    """Return the bytes that a database has by its header (sqlite.org/fileformat2.html#the_database_header)."""
    with path.open("rb") as file:
        header = file.read(HEADER_BYTES)
    if len(header) < HEADER_BYTES or not header.startswith(b"SQLite format 3\0"):
        return 0
    size, pages = int.from_bytes(header[16:18]), int.from_bytes(header[28:32])
    return (LARGEST_PAGE if size == 1 else size) * pages


def import_ledger(folder: Path, other: sqlite3.Connection, other_path: Path) -> ImportResult:
    """Import all undamaged entries of another ledger that are new here, with their dates.

    An existing answer is never replaced; a stored failure is replaced by an answer. The import may be interrupted and
    repeated.

    Raises:
        LedgerError: This ledger cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE_NAME
    result, batch = {"taken": 0, "known": 0, "damaged": 0}, list[Row]()
    unreadable = False
    try:
        connection = open_database(path)
        for _, row in _rows(other, other_path):
            if isinstance(row, Exception):
                unreadable = True
            elif _damage(row) is not None:
                result["damaged"] += 1
            else:
                batch.append((*row[:5], seal_of(row[0], row[2], row[3], row[4])))
            if len(batch) == AT_ONCE:
                _take(connection, batch, result)
        _take(connection, batch, result)
        connection.close()
    except UNREADABLE as error:
        raise failure(path, "written", error) from error
    return ImportResult(**result, unreadable=unreadable)


def _take(connection: sqlite3.Connection, batch: list[Row], result: dict[str, int]) -> None:
    """Write some entries in one transaction, and leave a moment for a run's own writer."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        add_seals(connection)
        before = connection.total_changes
        connection.executemany(INSERT, batch)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    taken = connection.total_changes - before
    result["taken"] += taken
    result["known"] += len(batch) - taken
    batch.clear()
    time.sleep(SETTLE_S)
