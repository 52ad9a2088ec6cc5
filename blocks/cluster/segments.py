"""The thread that keeps a worker's answers on the shared storage: some of them in one object, whole or not there."""

import itertools
import queue
import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Iterable

from kasasagi.blocks.cluster.call_batches import write_segment
from kasasagi.blocks.destinations.errors import DestinationError
from kasasagi.blocks.destinations.remote_folder import Store
from kasasagi.blocks.ledger.store import LedgerEntry, LedgerError, row_of
from kasasagi.blocks.ledger.writer import Writer, Written

MOST_IN_A_SEGMENT = 1_000


class SegmentWriter(Writer):
    """Keeps answers in segments of the batches that ask for them.

    An answer waits at most flush_s seconds for others, and not at all once nothing else is asked.
    """

    def __init__(
        self, store: Store, flush_s: float, on_written: Written, on_unwritable: Callable[[LedgerError], None]
    ) -> None:
        self._store = store
        self._flush_s = flush_s
        self._folders: dict[str, str] = {}
        self._expected: set[str] = set()
        token = secrets.token_hex(6)
        self._names = (f"{token}-{number:08d}" for number in itertools.count())
        super().__init__("segment-writer", on_written, on_unwritable)

    def expect(self, keys: Iterable[str], folder: str) -> None:
        """Learn whose the answers of some questions will be."""
        for key in keys:
            self._folders[key] = folder
            self._expected.add(key)

    def give_up(self, keys: Iterable[str]) -> None:
        """Wait no longer for the answers of some questions; one that comes all the same is still kept."""
        self._expected.difference_update(keys)

    def _run(self) -> None:
        try:
            last = False
            while not last:
                entries, last = self._take()
                self._write(entries)
        except DestinationError as error:
            self._on_unwritable(LedgerError(str(error)))

    def _take(self) -> tuple[list[LedgerEntry], bool]:
        """Return the entries of the next segments, and whether they are the last."""
        entries: list[LedgerEntry] = []
        item = self._queue.get()
        end = time.monotonic() + self._flush_s
        while item is not None:
            entries.append(item)
            self._expected.discard(item.key)
            if len(entries) == MOST_IN_A_SEGMENT:
                return entries, False
            try:
                item = self._queue.get(timeout=max(0.0, end - time.monotonic()) if self._expected else 0.0)
            except queue.Empty:
                return entries, False
        return entries, True

    def _write(self, entries: list[LedgerEntry]) -> None:
        by_folder: dict[str, list[LedgerEntry]] = defaultdict(list)
        for entry in entries:
            by_folder[self._folders.pop(entry.key)].append(entry)
        now = time.time()
        for folder, some in by_folder.items():
            write_segment(self._store, folder, next(self._names), [row_of(entry, now) for entry in some])
        self._on_written([(entry.key, entry.completion) for entry in entries])
