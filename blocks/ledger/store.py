"""The ledger: every finished model call of a workspace, kept before anything else is done with it.

One SQLite database in write-ahead mode. A commit that has returned survives kill -9 and a power cut; a torn write is
rolled back by SQLite itself; several processes may read and write at once. Look-ups by key stay quick with millions of
entries, and cost no memory. Each entry carries a seal, a digest of its key and all that it says, so that an entry that
a damaged disk changed is never served.
"""

import hashlib
import random
import re
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args, get_origin, get_type_hints

import orjson

from kasasagi.blocks.canonical import DIGEST_BYTES
from kasasagi.blocks.destinations.errors import one_sentence
from kasasagi.blocks.hints import command
from kasasagi.blocks.models.llm import Completion

FORMAT_VERSION = 1
LOOKUP_KEYS = 500
BUSY_SECONDS = 60.0
FILE_NAME = "ledger.sqlite"
DAMAGED = re.compile(r"malformed|not a database|corrupt|could not decode|no such (table|column)", re.I)
_TABLES = """
CREATE TABLE IF NOT EXISTS entries (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,
    at REAL NOT NULL,
    model TEXT NOT NULL,
    error TEXT,
    reply BLOB NOT NULL,
    seal BLOB
);
"""
_LIMITS = """
CREATE TABLE IF NOT EXISTS limits (
    model TEXT NOT NULL,
    fields TEXT NOT NULL,
    PRIMARY KEY (model, fields)
) WITHOUT ROWID
"""
# An answer is never replaced, so equal requests stay equal for ever; a kept failure gives way to a later answer.
INSERT = """
INSERT INTO entries (key, at, model, error, reply, seal) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET
    at = excluded.at, model = excluded.model, error = excluded.error, reply = excluded.reply, seal = excluded.seal
WHERE entries.error IS NOT NULL
"""
SEAL_BYTES = 8
Row = tuple[bytes, float, str, str | None, bytes, bytes | None]
"""An entry as it lies in the table: key, seconds since the epoch, model, reason of a kept failure, reply, seal."""


class LedgerError(Exception):
    """The ledger cannot be read or written, so no further call may be paid for."""


class DamagedEntryError(Exception):
    """An entry is not what was written: its file was damaged, or changed by other hands."""


# Of a damaged file sqlite3 may say something that it cannot decode itself.
UNREADABLE = (sqlite3.Error, UnicodeDecodeError)


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One finished sample: its key, the model that gave it, and its reply."""

    key: str
    model: str
    completion: Completion


def open_database(path: Path) -> sqlite3.Connection:
    """Return a connection to a ledger's database, which is made if it is not there.

    Raises:
        LedgerError: If another version wrote it.
        sqlite3.Error: If it cannot be opened.
    """
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    if connection.execute("PRAGMA page_count").fetchone() == (0,):
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # can be chosen only for a database that is still empty
    switch_to_wal(connection)
    connection.execute("PRAGMA synchronous = FULL")
    if format_of(connection, path) == 0:
        connection.executescript(_TABLES)
        connection.execute(_LIMITS)
        connection.execute(f"PRAGMA user_version = {FORMAT_VERSION}")
    return connection


def switch_to_wal(connection: sqlite3.Connection) -> None:
    """Switch a database to write-ahead mode, together with others that open it for the first time.

    SQLite's own busy time-out does not cover this switch: of two that switch a new database at once, one fails.
    """
    end = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > end:
                raise
            time.sleep(random.uniform(0.001, 0.02))
        else:
            return


def format_of(connection: sqlite3.Connection, path: Path) -> int:
    """Return the format of a ledger, 0 for one without tables.

    Raises:
        LedgerError: If this kasasagi cannot read it.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version not in (0, FORMAT_VERSION):
        raise LedgerError(
            f"the ledger {path} has format {version}, this kasasagi reads format {FORMAT_VERSION}: "
            "use the version that wrote it or another workspace"
        )
    return int(version)


def has_seals(connection: sqlite3.Connection) -> bool:
    """Return whether the entries of a ledger have a column for their seals; those of older versions have none."""
    return any(column[1] == "seal" for column in connection.execute("PRAGMA table_info(entries)"))


def add_seals(connection: sqlite3.Connection) -> None:
    """Give an older ledger its column of seals; to be called in a transaction that writes."""
    if not has_seals(connection):
        connection.execute("ALTER TABLE entries ADD COLUMN seal BLOB")


def workspace_of(path: Path) -> Path:
    """Return the folder of the workspace that a ledger's file belongs to."""
    return path.absolute().parents[1]


def rescue_folder(workspace: Path) -> Path:
    """Return a folder beside a workspace that can take over the whole part of its damaged ledger."""
    return workspace.with_name(f"{workspace.name}-rescued")


def failure(path: Path, verb: str, error: Exception) -> LedgerError:
    """Return the message for a ledger that cannot be opened, read or written."""
    undecoded, words = isinstance(error, UnicodeDecodeError), one_sentence(error)
    if undecoded or (isinstance(error, sqlite3.DatabaseError) and DAMAGED.search(str(error))):
        workspace = workspace_of(path)
        why = "SQLite gives no reason" if undecoded else words
        return LedgerError(
            f"the ledger {path} cannot be {verb}, its file is damaged ({why}): restore a copy of it, or rescue "
            f"its readable entries with {command('ledger', 'import', workspace, workspace=rescue_folder(workspace))}"
        )
    return LedgerError(
        f"the ledger {path} cannot be {verb} ({words}): nothing more is sent; "
        "make room or make it writable and run again, what was paid for is kept"
    )


class Ledger:
    """The ledger of one workspace; an instance belongs to one thread."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE_NAME
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._connection = open_database(self.path)
            self._seal = "seal" if has_seals(self._connection) else "NULL"
        except (OSError, *UNREADABLE) as error:
            raise failure(self.path, "opened", error) from error

    def known(self, keys: Sequence[str], ask_again: frozenset[str] = frozenset()) -> dict[str, Completion]:
        """Return the completions of those keys that are in the ledger, by key.

        Kept failures whose reason is in ask_again count as unknown. Raises LedgerError.
        """
        found: dict[str, Completion] = {}
        try:
            for start in range(0, len(keys), LOOKUP_KEYS):
                some = [bytes.fromhex(key) for key in keys[start : start + LOOKUP_KEYS]]
                marks = ",".join("?" * len(some))
                query = f"SELECT key, at, model, error, reply, {self._seal} FROM entries WHERE key IN ({marks})"
                rows = self._connection.execute(query, some)
                wanted = ((row, read_row(row)) for row in rows if row[3] not in ask_again)
                found.update((row[0].hex(), completion) for row, completion in wanted)
        except UNREADABLE as error:
            raise failure(self.path, "read", error) from error
        except DamagedEntryError as error:
            repair = command("ledger", "check", "--repair", workspace=workspace_of(self.path))
            raise LedgerError(
                f"the ledger {self.path} contains a damaged entry ({error}), so it is not "
                f"used: {repair} removes damaged entries, and only their calls are sent again"
            ) from error
        return found

    def append(self, entries: Sequence[LedgerEntry]) -> dict[str, Completion]:
        """Store some finished calls durably, all or none, and return the stored ones by key.

        If another process was faster, its answer is the stored one.

        Raises:
            LedgerError: The ledger cannot be written.
        """
        now = time.time()
        try:
            rows = [row_of(entry, now) for entry in entries]
            self._connection.execute("BEGIN IMMEDIATE")
            add_seals(self._connection)
            before = self._connection.total_changes
            self._connection.executemany(INSERT, rows)
            self._connection.execute("COMMIT")
            self._seal = "seal"
            if self._connection.total_changes - before < len(rows):
                return self.known([entry.key for entry in entries])
            return {entry.key: entry.completion for entry in entries}
        except (*UNREADABLE, TypeError) as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise failure(self.path, "written", error) from error

    def has_limits(self) -> bool:
        """Return whether limits of requests are recorded; ledgers of older versions have no table for them."""
        query = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'limits'"
        try:
            return bool(self._connection.execute(query).fetchone()[0])
        except UNREADABLE as error:
            raise failure(self.path, "read", error) from error

    def limits(self, models: Sequence[str]) -> set[str]:
        """Return the recorded limits of requests to some models, as JSON. Raises LedgerError."""
        if not self.has_limits():
            return set()
        query = f"SELECT fields FROM limits WHERE model IN ({','.join('?' * len(models))})"
        try:
            return {str(row[0]) for row in self._connection.execute(query, models)}
        except UNREADABLE as error:
            raise failure(self.path, "read", error) from error

    def add_limits(self, limits: Sequence[tuple[str, str]]) -> None:
        """Record limits of requests, each as a model and JSON; all or none. Raises LedgerError."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.execute(_LIMITS)
            self._connection.executemany("INSERT OR IGNORE INTO limits (model, fields) VALUES (?, ?)", limits)
            self._connection.execute("COMMIT")
        except UNREADABLE as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise failure(self.path, "written", error) from error

    def count(self) -> int:
        """Return how many samples the ledger holds."""
        (count,) = self._connection.execute("SELECT count(*) FROM entries").fetchone()
        return int(count)

    def close(self) -> None:
        """Close the database."""
        self._connection.close()


def row_of(entry: LedgerEntry, at: float) -> Row:
    """Return an entry as it lies in the table, sealed.

    Raises:
        TypeError: For a text that JSON cannot keep.
    """
    key, error = bytes.fromhex(entry.key), entry.completion.error
    fields = ((name, getattr(entry.completion, name)) for name in _TYPES)
    reply = orjson.dumps({name: value for name, value in fields if value not in (None, False)})
    return key, at, entry.model, error, reply, seal_of(key, entry.model, error, reply)


def seal_of(key: bytes, model: str, error: str | None, reply: bytes) -> bytes:
    """blake2b-64 over a key and all that the entry says."""
    parts = (key, model.encode(), (error or "").encode(), reply)
    return hashlib.blake2b(b"\0".join(parts), digest_size=SEAL_BYTES).digest()


def read_row(row: Row) -> Completion:
    """Return the content of an entry.

    Raises:
        DamagedEntryError: If it is damaged.
    """
    key, _, model, error, reply, seal = row
    try:
        if len(key) != DIGEST_BYTES:
            raise DamagedEntryError(f"{_shown(key)}: its key is none")
        if seal is not None and seal != seal_of(key, model, error, reply):
            raise DamagedEntryError(f"{key.hex()}: its seal is broken")
        fields = orjson.loads(reply)
        completion = Completion(**fields)
        wrong = [name for name, value in fields.items() if not isinstance(value, _TYPES[name])]
    except (TypeError, AttributeError, ValueError) as damage:
        raise DamagedEntryError(f"{_shown(key)}: its reply cannot be read") from damage
    if wrong or "text" not in fields or completion.error != error:
        raise DamagedEntryError(f"{_shown(key)}: its parts do not fit together")
    return completion


def _types() -> dict[str, tuple[type, ...]]:
    """Return what each field of a reply may hold, by its annotation; a whole number will do for any number."""
    hints = {name: get_args(hint) or (hint,) for name, hint in get_type_hints(Completion).items()}
    return {
        name: (*(get_origin(one) or one for one in some), *((int,) if float in some else ()))
        for name, some in hints.items()
    }


_TYPES = _types()


def _shown(key: object) -> str:
    return key.hex() if isinstance(key, bytes) else repr(key)
