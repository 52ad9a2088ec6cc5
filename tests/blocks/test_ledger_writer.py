"""The thread that writes the ledger: everything handed over is kept before it is handed on, or the run fails."""

import threading
from pathlib import Path

import pytest

from kasasagi.blocks.canonical import digest
from kasasagi.blocks.ledger.store import Ledger, LedgerEntry, LedgerError
from kasasagi.blocks.ledger.writer import MOST_IN_A_COMMIT, LedgerWriter
from kasasagi.blocks.models.llm import Completion
from tests.blocks.helpers import until


class Listener:
    """Takes what a writer says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.batches: list[list[str]] = []
        self.errors: list[LedgerError] = []
        self.seen_in_ledger: list[bool] = []
        self.hold = threading.Event()
        self.hold.set()

    def written(self, answers: list[tuple[str, Completion]]) -> None:
        self.hold.wait(20)
        keys = [key for key, _ in answers]
        ledger = Ledger(self.folder)
        self.seen_in_ledger.append(len(ledger.known(keys)) == len(set(keys)))
        ledger.close()
        self.batches.append(keys)

    def writer(self) -> LedgerWriter:
        return LedgerWriter(self.folder, self.written, self.errors.append)


@pytest.fixture
def listener(tmp_path: Path) -> Listener:
    return Listener(tmp_path)


def key(number: int) -> str:
    return digest(number)


def test_all_is_kept_in_few_commits_and_before_it_is_handed_on(listener: Listener) -> None:
    writer = listener.writer()
    listener.hold.clear()
    for number in range(3 * MOST_IN_A_COMMIT):
        writer.put(key(number), "m", Completion(text=str(number)))
    listener.hold.set()
    writer.close()
    assert sum(map(len, listener.batches)) == 3 * MOST_IN_A_COMMIT
    assert all(listener.seen_in_ledger)
    assert max(map(len, listener.batches)) <= MOST_IN_A_COMMIT
    assert len(listener.batches) <= 8
    assert not listener.errors


def test_closing_writes_what_still_waits_and_may_be_done_twice(listener: Listener) -> None:
    writer = listener.writer()
    writer.put(key(1), "m", Completion(text="a"))
    writer.close()
    writer.close()
    assert listener.batches == [[key(1)]]


def test_a_writer_with_nothing_to_do_closes(listener: Listener) -> None:
    listener.writer().close()
    assert not listener.batches


def test_a_failed_commit_is_told_once_and_nothing_is_handed_on(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = listener.writer()

    def fails(self: Ledger, entries: list[LedgerEntry]) -> None:
        raise LedgerError("the disk is full")

    monkeypatch.setattr(Ledger, "append", fails)
    writer.put(key(1), "m", Completion(text="a"))
    until(lambda: listener.errors)
    writer.put(key(2), "m", Completion(text="b"))
    writer.close()
    assert [str(error) for error in listener.errors] == ["the disk is full"]
    assert not listener.batches


def test_an_answer_that_cannot_be_written_is_told_and_does_not_hang(listener: Listener) -> None:
    writer = listener.writer()
    writer.put(key(1), "m", Completion(text="\ud800"))
    until(lambda: listener.errors)
    writer.close()
    assert "cannot be written" in str(listener.errors[0])


def test_a_ledger_that_cannot_be_opened_is_an_error_before_anything_is_sent(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LedgerError):
        Listener(tmp_path / "file").writer()


def test_a_ledger_that_is_lost_before_the_thread_opens_it_is_told(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []
    real = Ledger.__init__

    def second_time_fails(self: Ledger, folder: Path) -> None:
        opened.append(folder)
        if len(opened) == 2:
            raise LedgerError("gone")
        real(self, folder)

    monkeypatch.setattr(Ledger, "__init__", second_time_fails)
    writer = listener.writer()
    until(lambda: listener.errors)
    writer.close()
    assert str(listener.errors[0]) == "gone"


def test_whatever_ends_the_writer_is_reported(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    def run_out(ledger: Ledger, entries: list[LedgerEntry]) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr(Ledger, "append", run_out)
    writer = listener.writer()
    writer.put(key(1), "m", Completion(text="a"))
    until(lambda: bool(listener.errors))
    writer.close()
    assert "MemoryError: no room" in str(listener.errors[0])
    assert not listener.batches
