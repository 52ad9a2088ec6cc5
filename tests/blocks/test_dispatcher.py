"""The dispatcher against a real server: order, limits, and that each answer is kept."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.blocks.helpers import (
    background,
    contents,
    dispatching,
    kept,
    model,
    question,
    questions,
    until,
)
from tests.fake_server import FakeServer


def test_answers_come_in_the_order_of_the_questions_and_lie_in_the_ledger(server: FakeServer, tmp_path: Path) -> None:
    asked = questions(50)
    with dispatching(tmp_path, {"small": model(server)}) as dispatcher:
        answers = dispatcher.ask(asked)
        assert kept(tmp_path, asked) == {one.key: answer for one, answer in zip(asked, answers, strict=True)}
        assert dispatcher.counters.answered == 50
        assert dispatcher.counters.completion_tokens == sum(answer.completion_tokens for answer in answers) > 0
        again = [dispatcher.ask([one])[0] for one in asked[:3]]
    assert [answer.text for answer in again] == [answer.text for answer in answers[:3]]
    assert all(answer.error is None and answer.text and answer.attempts == 1 for answer in answers)


def test_a_call_is_pending_until_its_answer_is_kept(server: FakeServer, tmp_path: Path) -> None:
    asked = questions(3)
    keys = [one.key for one in asked]
    with dispatching(tmp_path, {"small": model(server)}) as dispatcher:
        dispatcher.hold()
        asking = background(lambda: dispatcher.ask(asked[:2]))
        until(lambda: dispatcher.counters.asked == 2)
        assert dispatcher.pending(keys) == set(keys[:2])
        dispatcher.release()
        asking.join()
        assert dispatcher.pending(keys) == set()
        assert len(kept(tmp_path, asked)) == 2
    assert dispatcher.pending(keys) == set(keys), "nobody can tell any more"


def test_nothing_asked_is_nothing_sent(server: FakeServer, tmp_path: Path) -> None:
    with dispatching(tmp_path, {"small": model(server)}) as dispatcher:
        assert dispatcher.ask([]) == []
    assert server.stats()["calls"] == 0


@pytest.mark.parametrize("limit", [1, 7])
def test_no_more_than_the_limit_are_in_flight(server: FakeServer, tmp_path: Path, limit: int) -> None:
    server.configure(first_token_s=0.01)
    models = {"small": model(server, max_concurrency=limit), "large": model(server, "large", max_concurrency=limit)}
    with dispatching(tmp_path, models) as dispatcher:
        dispatcher.ask([*questions(20), *questions(20, "large")])
    assert server.stats()["peak_in_flight"] == limit


def test_a_higher_rank_goes_first_then_the_earlier_chunk(server: FakeServer, tmp_path: Path) -> None:
    server.configure(first_token_s=0.15)
    with dispatching(tmp_path, {"small": model(server, max_concurrency=1)}) as dispatcher:
        first = background(lambda: dispatcher.ask([question("blocker")]))
        until(dispatcher.in_flight)
        waiting = [
            background(lambda: dispatcher.ask([question("rank 0")], rank=0, order=0)),
            background(lambda: dispatcher.ask([question("rank 1 chunk 2")], rank=1, order=2)),
            background(lambda: dispatcher.ask([question("rank 1 chunk 1")], rank=1, order=1)),
            background(lambda: dispatcher.ask([question("rank 2")], rank=2, order=9)),
        ]
        until(lambda: dispatcher.counters.asked == 5)
        server.configure(first_token_s=0.0)
        for thread in [first, *waiting]:
            thread.join(20)
    assert contents(server) == ["blocker", "rank 2", "rank 1 chunk 1", "rank 1 chunk 2", "rank 0"]


def test_finish_first_turns_the_order_of_ranks(server: FakeServer, tmp_path: Path) -> None:
    server.configure(first_token_s=0.15)
    with dispatching(tmp_path, {"small": model(server, max_concurrency=1)}) as dispatcher:
        threads = [background(lambda: dispatcher.ask([question("blocker")]))]
        until(dispatcher.in_flight)
        threads += [
            background(lambda rank=rank: dispatcher.ask([question(f"rank {rank}")], rank=rank)) for rank in range(3)
        ]
        until(lambda: dispatcher.counters.asked == 4)
        dispatcher.finish_first()
        server.configure(first_token_s=0.0)
        for thread in threads:
            thread.join(20)
    assert contents(server) == ["blocker", "rank 0", "rank 1", "rank 2"]


def test_equal_questions_are_asked_once(server: FakeServer, tmp_path: Path) -> None:
    server.configure(first_token_s=0.1)
    asked = [question("the same"), question("another"), question("the same")]
    with dispatching(tmp_path, {"small": model(server)}) as dispatcher, ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(dispatcher.ask, [asked] * 4))
    assert server.stats()["calls"] == 2
    assert all(one[0] == one[2] == answers[0][0] for one in answers)


def test_a_held_dispatcher_sends_nothing_new_and_goes_on_when_released(server: FakeServer, tmp_path: Path) -> None:
    server.configure(first_token_s=0.2)
    with dispatching(tmp_path, {"small": model(server, max_concurrency=2)}) as dispatcher:
        waiting = [background(lambda: dispatcher.ask(questions(6)))]
        until(lambda: dispatcher.in_flight() == 2)
        dispatcher.hold()
        until(lambda: not dispatcher.in_flight())
        waiting.append(background(lambda: dispatcher.ask([question("asked while it is held")])))
        until(lambda: dispatcher.counters.asked == 7)
        assert server.stats()["calls"] == 2
        dispatcher.release()
        for thread in waiting:
            thread.join(20)
        assert dispatcher.counters.answered == 7
    assert server.stats()["calls"] == 7
