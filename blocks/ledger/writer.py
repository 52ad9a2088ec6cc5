"""The thread that writes the ledger: many answers in one commit, each handed on only after it is kept."""

import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path

from kasasagi.blocks.ledger.store import Ledger, LedgerEntry, LedgerError
from kasasagi.blocks.models.llm import Completion

MOST_IN_A_COMMIT = 1_000
GATHERING_S = 0.01
"""Waited for further answers before a commit: each commit costs a write to the disk and wakes several threads."""
Written = Callable[[list[tuple[str, Completion]]], None]


class Writer:
    """Stores the answers of a dispatcher in a separate thread, before anything else is done with them.

    Attributes:
        on_written: Called in that thread with the answers that are stored.
        on_unwritable: Called with the error if they cannot be stored; nothing more is written then.
    """

    def __init__(self, name: str, on_written: Written, on_unwritable: Callable[[LedgerError], None]) -> None:
        self._on_written = on_written
        self._on_unwritable = on_unwritable
        self._queue: queue.SimpleQueue[LedgerEntry | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    def put(self, key: str, model: str, completion: Completion) -> None:
        """Hand over one answer to be kept."""
        self._queue.put(LedgerEntry(key, model, completion))

    def close(self) -> None:
        """Write what was handed over and end the thread."""
        self._queue.put(None)
        self._thread.join()

    def _serve(self) -> None:
        try:
            self._run()
        except Exception as error:  # a caller that waits for an answer would otherwise wait for ever
            why = f"{type(error).__name__}: {error}"
            failed = LedgerError(f"the ledger's writer failed ({why}): run again to continue, and report this error")
            failed.__cause__ = error
            self._on_unwritable(failed)

    def _run(self) -> None:
        """Keep what is put until the end is."""
        raise NotImplementedError


class LedgerWriter(Writer):
    """Keeps answers in the ledger, as many in one commit as wait for it."""

    def __init__(self, folder: Path, on_written: Written, on_unwritable: Callable[[LedgerError], None]) -> None:
        Ledger(folder).close()  # a ledger that cannot be opened is an error here, before anything is sent
        self._folder = folder
        super().__init__("ledger-writer", on_written, on_unwritable)

    def _run(self) -> None:
        try:
            ledger = Ledger(self._folder)
        except LedgerError as error:
            self._on_unwritable(error)
            return
        try:
            last = False
            while not last:
                entries, last = self._take()
                if entries:
                    self._on_written(list(ledger.append(entries).items()))
        except LedgerError as error:
            self._on_unwritable(error)
        finally:
            ledger.close()

    def _take(self) -> tuple[list[LedgerEntry], bool]:
        """Return the entries that wait, at least one, and whether they are the last."""
        entries: list[LedgerEntry] = []
        item = self._queue.get()
        if item is not None:
            time.sleep(GATHERING_S)
        while item is not None:
            entries.append(item)
            if len(entries) == MOST_IN_A_COMMIT or self._queue.empty():
                return entries, False
            item = self._queue.get()
        return entries, True
