"""The thread that writes the ledger: many answers in one commit, each handed on only after it is kept."""

import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from blocks.ledger import Entry, Ledger, LedgerError
from blocks.llm import Completion

MOST_IN_A_COMMIT = 1_000


class Writer(Protocol):
    """Keeps the answers of a dispatcher, each before anything else is done with it."""

    def put(self, key: str, model: str, completion: Completion) -> None:
        """Hand over one answer to be kept."""

    def close(self) -> None:
        """Write what was handed over and end."""


class LedgerWriter:
    """Keeps answers in the ledger from a thread of its own.

    written is called, in that thread, with the answers that are now kept; unwritable with the error when they cannot
    be kept, after which nothing more is written.
    """

    def __init__(
        self,
        folder: Path,
        written: Callable[[list[tuple[str, Completion]]], None],
        unwritable: Callable[[LedgerError], None],
    ) -> None:
        Ledger(folder).close()  # a ledger that cannot be opened is an error here, before anything is sent
        self._folder = folder
        self._written = written
        self._unwritable = unwritable
        self._queue: queue.SimpleQueue[Entry | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="ledger-writer", daemon=True)
        self._thread.start()

    def put(self, key: str, model: str, completion: Completion) -> None:
        """Hand over one answer to be kept."""
        self._queue.put(Entry(key, model, completion))

    def close(self) -> None:
        """Write what was handed over and end the thread."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            ledger = Ledger(self._folder)
        except LedgerError as error:
            self._unwritable(error)
            return
        try:
            last = False
            while not last:
                entries, last = self._take()
                if entries:
                    self._written(list(ledger.append(entries).items()))
        except LedgerError as error:
            self._unwritable(error)
        finally:
            ledger.close()

    def _take(self) -> tuple[list[Entry], bool]:
        """The entries that wait, at least one, and whether they are the last."""
        entries: list[Entry] = []
        item = self._queue.get()
        while item is not None:
            entries.append(item)
            if len(entries) == MOST_IN_A_COMMIT or self._queue.empty():
                return entries, False
            item = self._queue.get()
        return entries, True
