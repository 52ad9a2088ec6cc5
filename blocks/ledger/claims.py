"""Claims: which run of a workspace asks for which samples now, so that no other run pays for the same meanwhile.

A claim is a row of a small SQLite database that all processes of the workspace share. It holds for as long as its run
holds a file lock of its own, which the system takes from a process that dies: what a killed run had claimed is free at
once. Claims lie beside the ledger and not in it, since they are of no use once their run has ended.
"""

import secrets
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from kasasagi.blocks.ledger.store import BUSY_SECONDS, LOOKUP_KEYS, LedgerError, switch_to_wal
from kasasagi.blocks.workspace.runs import Workspace

FILE_NAME = "claims.sqlite"
OPENING = "claims"
MARK = "~"
_TABLE = "CREATE TABLE IF NOT EXISTS claims (key BLOB PRIMARY KEY, owner TEXT NOT NULL) WITHOUT ROWID"


class Claims:
    """The claims of one run; its threads may share it. Nothing is made on disk before the first claim.

    What the run has claimed itself never keeps it waiting: within a process the dispatcher sees to equal questions.
    """

    def __init__(self, workspace: Workspace, run: str) -> None:
        self._workspace = workspace
        self._folder = workspace.folder / "locks" / "claims"
        self._owner = f"{run}{MARK}{secrets.token_hex(4)}"
        self._own = FileLock(self._lock_file(self._owner), thread_local=False)
        self._thread_lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._closed = False
        self._held: Counter[str] = Counter()
        self._left: Counter[str] = Counter()
        self._named: set[str] = set()

    def __enter__(self) -> "Claims":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def take(self, keys: Sequence[str]) -> set[str]:
        """Claim those keys that no other living run has claimed, and give them. Raises LedgerError."""
        with self._using() as connection:
            if not self._free(connection, keys):  # who only waits writes nothing
                return set()
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                free = self._free(connection, keys)
                rows = [(bytes.fromhex(key), self._owner) for key in free]
                connection.executemany("REPLACE INTO claims (key, owner) VALUES (?, ?)", rows)
            self._held.update(free)
            return set(free)

    def release(self, keys: Collection[str]) -> None:
        """Give up claims of `take`; their answers are in the ledger, or others may ask. Raises LedgerError."""
        with self._using() as connection:
            self._give_up(connection, Counter(set(keys)))

    def leave(self, keys: Collection[str]) -> None:
        """Keep claims of `take` whose asking failed as a whole, for as long as single calls may be on their way."""
        with self._thread_lock:
            self._left.update(set(keys))

    def release_left(self, pending: Callable[[Collection[str]], Collection[str]]) -> None:
        """Give up what was left and is not on its way any more; pending names those keys of some that are.

        Raises LedgerError.
        """
        if not self._left:
            return
        with self._using() as connection:
            going_on = set(pending(list(self._left)))
            over = Counter({key: count for key, count in self._left.items() if key not in going_on})
            self._give_up(connection, over)
            self._left -= over

    def new_waits(self, keys: Sequence[str]) -> Counter[str]:
        """Return how many of some keys other runs have claimed, by run; each run is named once only.

        Raises LedgerError.
        """
        with self._using() as connection:
            runs = Counter(owner.rpartition(MARK)[0] for owner in self._claims_of_others(connection, keys).values())
            new = Counter({run: count for run, count in runs.items() if run not in self._named})
            self._named.update(new)
            return new

    def close(self) -> None:
        """Give up all claims; to be called once no call of the run is on its way."""
        with self._thread_lock:
            self._closed = True
            if self._connection is None:
                return
            with suppress(sqlite3.Error):  # without its lock the run has no claims all the same
                self._connection.execute("DELETE FROM claims WHERE owner = ?", (self._owner,))
            self._connection.close()
            self._connection = None
            _remove(self._own)

    @contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        with self._thread_lock:
            try:
                yield self._open()
            except (sqlite3.Error, OSError) as error:
                raise LedgerError(
                    f"the claims of the runs of this workspace in {self._folder} cannot be read or written ({error}), "
                    "so nothing more is sent: free space, make it writable, or remove that folder with no run active"
                ) from error

    def _open(self) -> sqlite3.Connection:
        """Return the database; with the first use of it this run's lock is taken, and what dead runs left is cleared
        away.
        """
        if self._closed:
            raise LedgerError("the run has ended and sends no more calls; run the recipe again")
        if self._connection is None:
            with self._workspace.lock(OPENING):  # two that make the file at once would disturb each other
                self._folder.mkdir(parents=True, exist_ok=True)
                self._own.acquire()
                connection = sqlite3.connect(
                    self._folder / FILE_NAME, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
                )
                switch_to_wal(connection)
                connection.execute("PRAGMA synchronous = NORMAL")  # a power cut ends the runs together with the claims
                connection.execute(_TABLE)
                self._sweep(connection)
            self._connection = connection
        return self._connection

    def _sweep(self, connection: sqlite3.Connection) -> None:
        owners = {file.stem for file in self._folder.glob("*.lock")}
        owners |= {owner for (owner,) in connection.execute("SELECT DISTINCT owner FROM claims")}
        for owner in owners - {self._owner}:
            if not self._is_alive(owner):
                connection.execute("DELETE FROM claims WHERE owner = ?", (owner,))

    def _free(self, connection: sqlite3.Connection, keys: Sequence[str]) -> list[str]:
        """Return those keys that no other living run has claimed."""
        claimed = self._claims_of_others(connection, keys)
        living = {owner for owner in set(claimed.values()) if self._is_alive(owner)}
        return [key for key in keys if claimed.get(key) not in living]

    def _claims_of_others(self, connection: sqlite3.Connection, keys: Sequence[str]) -> dict[str, str]:
        """Return who has claimed which of the keys, of all owners but this."""
        found: dict[str, str] = {}
        for start in range(0, len(keys), LOOKUP_KEYS):
            some = [bytes.fromhex(key) for key in keys[start : start + LOOKUP_KEYS]]
            query = f"SELECT key, owner FROM claims WHERE owner != ? AND key IN ({','.join('?' * len(some))})"
            found.update((key.hex(), owner) for key, owner in connection.execute(query, (self._owner, *some)))
        return found

    def _give_up(self, connection: sqlite3.Connection, keys: Counter[str]) -> None:
        """Count claims down, and remove those that no thread of this run holds any more."""
        self._held -= keys
        gone = [(bytes.fromhex(key), self._owner) for key in keys if key not in self._held]
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("DELETE FROM claims WHERE key = ? AND owner = ?", gone)

    def _is_alive(self, owner: str) -> bool:
        """Return whether an owner still holds its lock; that of a dead one is removed."""
        lock = FileLock(self._lock_file(owner), thread_local=False)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            return True
        _remove(lock)
        return False

    def _lock_file(self, owner: str) -> Path:
        return self._folder / f"{owner}.lock"


def _remove(lock: FileLock) -> None:
    """Remove the file of a lock that is held, and release it; no process waits for it, and its name is used once."""
    with suppress(OSError):
        Path(lock.lock_file).unlink(missing_ok=True)
    lock.release()
