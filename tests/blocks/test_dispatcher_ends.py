"""How the dispatcher ends: what is in flight is kept, and nobody waits for what never comes."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from email.message import Message
from pathlib import Path

import pytest

from kasasagi.blocks.dispatch import dispatcher as dispatcher_module
from kasasagi.blocks.dispatch.dispatcher import StoppedError
from kasasagi.blocks.endpoints.rate_headers import LONGEST_ASKED_WAIT_S
from kasasagi.blocks.ledger.store import LedgerError
from tests.blocks.helpers import (
    Reply,
    ScriptedServer,
    background,
    dispatching,
    error_body,
    errors_of,
    kept,
    model,
    question,
    questions,
    until,
)
from tests.fake_server import FakeServer


def test_stop_wakes_all_who_wait_and_keeps_what_is_in_flight(server: FakeServer, tmp_path: Path) -> None:
    server.configure(first_token_s=0.5)
    asked = questions(12)
    with dispatching(tmp_path, {"small": model(server, max_concurrency=4)}) as dispatcher:
        with ThreadPoolExecutor(3) as threads:
            waiting = [threads.submit(errors_of, dispatcher, asked[start::3]) for start in range(3)]
            until(lambda: dispatcher.in_flight() == 4)
            dispatcher.stop(RuntimeError("enough"))
            raised = [error for future in waiting for error in future.result(5)]
        assert [str(error) for error in raised] == ["enough"] * 3
        dispatcher.close(drain_s=20)
    assert len(kept(tmp_path, asked)) == 4
    assert server.stats()["calls"] == server.stats()["calls_finished"] == 4


def test_closing_drains_no_longer_than_told(server: FakeServer, tmp_path: Path) -> None:
    server.configure(faults={"hang": 1.0})
    with dispatching(tmp_path, {"small": model(server, max_concurrency=2)}) as dispatcher:
        thread = background(lambda: errors_of(dispatcher, questions(2)))
        until(lambda: dispatcher.in_flight() == 2)
        dispatcher.close(drain_s=0.1)
        thread.join(5)
        assert not thread.is_alive()


def test_no_answer_that_arrived_is_lost_by_closing_at_once(server: FakeServer, tmp_path: Path) -> None:
    for attempt in range(5):
        folder = tmp_path / str(attempt)
        asked = questions(200, about=f"attempt {attempt}")
        with dispatching(folder, {"small": model(server)}) as dispatcher:
            thread = background(lambda: errors_of(dispatcher, asked))  # noqa: B023 - it ends within this turn
            until(lambda: dispatcher.counters.answered > 20)
            dispatcher.close(drain_s=20)
            thread.join(5)
        assert len(kept(folder, asked)) == dispatcher.counters.answered


def test_asking_after_the_end_is_an_error_and_no_hang(server: FakeServer, tmp_path: Path) -> None:
    with dispatching(tmp_path, {"small": model(server)}) as dispatcher:
        dispatcher.close()
        with pytest.raises(StoppedError):
            dispatcher.ask([question("late")])
        dispatcher.stop(RuntimeError("late"))
        dispatcher.finish_first()
        dispatcher.close()


def test_questions_that_come_while_it_closes_never_hang(server: FakeServer, tmp_path: Path) -> None:
    with dispatching(tmp_path, {"small": model(server)}) as dispatcher:
        over = threading.Event()

        def insist() -> None:
            while not over.is_set():
                errors_of(dispatcher, [question("again", draw=1)])

        threads = [background(insist) for _ in range(4)]
        until(lambda: dispatcher.counters.answered)
        dispatcher.close()
        over.set()
        for thread in threads:
            thread.join(5)
        assert not [thread for thread in threads if thread.is_alive()]


def test_too_little_room_on_the_disk_stops_the_run(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher_module, "DISK_CHECK_SECONDS", 0.02)
    with dispatching(tmp_path, {"small": model(server)}) as dispatcher:
        assert dispatcher.ask([question("room enough")])[0].error is None
        monkeypatch.setattr(dispatcher_module, "RESERVED_BYTES", 2**62)
        until(lambda: dispatcher.stopped_by)
        with pytest.raises(LedgerError, match=r"MB are free at .*make room"):
            dispatcher.ask(questions(5))
    assert server.stats()["calls"] == 1


def test_a_ledger_that_cannot_be_written_stops_the_run(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self: object, entries: object) -> None:
        raise LedgerError("the disk is full")

    monkeypatch.setattr("kasasagi.blocks.ledger.store.Ledger.append", fails)
    with (
        dispatching(tmp_path, {"small": model(server, max_concurrency=2)}) as dispatcher,
        pytest.raises(LedgerError, match="the disk is full"),
    ):
        dispatcher.ask(questions(200))
    assert server.stats()["calls"] < 50


@pytest.mark.parametrize("far", ["86400", "Fri, 31 Dec 2099 23:59:59 GMT", "1e300"])
def test_a_retry_after_far_in_the_future_is_bounded_and_told_and_stops_at_once(tmp_path: Path, far: str) -> None:
    def answer(number: int, headers: Message) -> Reply:
        return 429, {"retry-after": far}, error_body("not today")

    with (
        ScriptedServer(answer, (200, {}, b'{"data": [{"id": "small"}]}')) as scripted,
        dispatching(tmp_path, {"small": model(scripted.base_url, max_concurrency=1, patience_s=1e6)}) as dispatcher,
    ):
        asking = background(lambda: errors_of(dispatcher, questions(3)))
        next_at = until(lambda: dispatcher.counters.next_at)
        assert next_at - time.monotonic() <= LONGEST_ASKED_WAIT_S
        assert scripted.posts == 1
        dispatcher.stop(StoppedError("enough"))
        asking.join()
