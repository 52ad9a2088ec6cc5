"""The ledger: every finished model call of a workspace, kept before anything else is done with it.

One SQLite database in write-ahead mode. A commit that has returned survives kill -9 and a power cut; a torn write is
rolled back by SQLite itself; several processes may read and write at once. Look-ups by key stay quick with millions of
entries, and cost no memory.
"""

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from blocks.llm import Completion

FORMAT_VERSION = 1
LOOKUP_KEYS = 500
BUSY_SECONDS = 60.0
_TABLES = """
CREATE TABLE IF NOT EXISTS entries (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,
    at REAL NOT NULL,
    model TEXT NOT NULL,
    error TEXT,
    reply BLOB NOT NULL
);
"""
# An answer is never replaced, so equal requests stay equal for ever; a kept failure gives way to a later answer.
_INSERT = """
INSERT INTO entries (key, at, model, error, reply) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET at = excluded.at, error = excluded.error, reply = excluded.reply
WHERE entries.error IS NOT NULL
"""


class LedgerError(Exception):
    """The ledger cannot be read or written, so no further call may be paid for."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One finished sample: its key, the model that gave it, and what it said."""

    key: str
    model: str
    completion: Completion


class Ledger:
    """The ledger of one workspace; an instance belongs to one thread."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "ledger.sqlite"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._connection = self._open()
        except (OSError, sqlite3.Error) as error:
            raise self._failure("opened", error) from error

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version not in (0, FORMAT_VERSION):
            raise LedgerError(
                f"the ledger {self.path} has format {version}, this kasasagi reads format {FORMAT_VERSION}: "
                "use the version that wrote it or another workspace"
            )
        if version == 0:
            connection.executescript(_TABLES)
            connection.execute(f"PRAGMA user_version = {FORMAT_VERSION}")
        return connection

    def _failure(self, verb: str, error: Exception) -> LedgerError:
        return LedgerError(
            f"the ledger {self.path} cannot be {verb} ({error}): nothing more is sent; "
            "make room or make it writable and run again, what was paid for is kept"
        )

    def known(self, keys: Sequence[str], ask_again: frozenset[str] = frozenset()) -> dict[str, Completion]:
        """The completions of those keys that are in the ledger, by key.

        Kept failures whose reason is in ask_again count as unknown. Raises LedgerError.
        """
        found: dict[str, Completion] = {}
        try:
            for start in range(0, len(keys), LOOKUP_KEYS):
                some = [bytes.fromhex(key) for key in keys[start : start + LOOKUP_KEYS]]
                marks = ",".join("?" * len(some))
                rows = self._connection.execute(f"SELECT key, error, reply FROM entries WHERE key IN ({marks})", some)
                found.update((key.hex(), _read(reply)) for key, error, reply in rows if error not in ask_again)
        except sqlite3.Error as error:
            raise self._failure("read", error) from error
        return found

    def append(self, entries: Sequence[Entry]) -> dict[str, Completion]:
        """Keep some finished calls, all or none, and give what is kept by key; once this returns it is kept for good.

        Where another process was quicker, what is kept is its answer. Raises LedgerError.
        """
        now = time.time()
        try:
            rows = [
                (bytes.fromhex(entry.key), now, entry.model, entry.completion.error, _write(entry.completion))
                for entry in entries
            ]
            before = self._connection.total_changes
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(_INSERT, rows)
            self._connection.execute("COMMIT")
            if self._connection.total_changes - before < len(rows):
                return self.known([entry.key for entry in entries])
            return {entry.key: entry.completion for entry in entries}
        except (sqlite3.Error, TypeError) as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise self._failure("written", error) from error

    def count(self) -> int:
        """How many samples the ledger holds."""
        (count,) = self._connection.execute("SELECT count(*) FROM entries").fetchone()
        return int(count)

    def close(self) -> None:
        """Close the database."""
        self._connection.close()


def _write(completion: Completion) -> bytes:
    return orjson.dumps({name: value for name, value in asdict(completion).items() if value not in (None, False)})


def _read(reply: bytes) -> Completion:
    return Completion(**orjson.loads(reply))
