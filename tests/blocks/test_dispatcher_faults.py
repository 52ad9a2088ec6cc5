"""The dispatcher against servers that fail: what may pass is tried again, and what does not pass has a reason."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from kasasagi.blocks.dispatch import lanes
from kasasagi.blocks.dispatch.pending_requests import Question
from tests.blocks.helpers import (
    ScriptedServer,
    answer_body,
    dispatching,
    error_body,
    kept,
    model,
    question,
    questions,
)
from tests.fake_server import FakeServer


@pytest.mark.usefixtures("quick", "short_rests")
@pytest.mark.parametrize("fault", ["http_429", "http_500", "reset", "cut_body", "malformed_json", "broken_off"])
def test_each_fault_that_may_pass_is_tried_again(server: FakeServer, tmp_path: Path, fault: str) -> None:
    server.configure(faults={fault: 0.5}, retry_after_s=0.01)
    asked = questions(20)
    with dispatching(tmp_path, {"small": model(server, max_retries=50)}) as dispatcher:
        answers = dispatcher.ask(asked)
        assert dispatcher.counters.retried == server.stats()["faults"][fault] > 0
    assert not [answer for answer in answers if answer.error]
    assert max(answer.attempts for answer in answers) > 1
    assert len(kept(tmp_path, asked)) == 20
    assert all(count["finished"] == 1 for count in server.samples().values())


@pytest.mark.usefixtures("quick", "short_rests")
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("http_429", "rate_limited"),
        ("http_500", "server_error"),
        ("reset", "connection"),
        ("cut_body", "connection"),
        ("malformed_json", "malformed_reply"),
        ("broken_off", "server_error"),
    ],
)
def test_a_fault_that_does_not_pass_is_a_reason_and_is_not_kept(
    server: FakeServer, tmp_path: Path, fault: str, error: str
) -> None:
    server.configure(faults={fault: 1.0}, retry_after_s=None)
    asked = questions(3)
    with dispatching(tmp_path, {"small": model(server, max_retries=2, patience_s=0)}) as dispatcher:
        answers = dispatcher.ask(asked)
    assert {(answer.error, answer.transient) for answer in answers} == {(error, True)}
    assert server.stats()["calls"] == 9 or error == "rate_limited"
    assert not kept(tmp_path, asked)


def test_a_lasting_failure_is_kept_and_not_tried_again(server: FakeServer, tmp_path: Path) -> None:
    server.configure(faults={"context_too_long": 1.0})
    asked = questions(5)
    with dispatching(tmp_path, {"small": model(server)}) as dispatcher:
        answers = dispatcher.ask(asked)
    assert {(answer.error, answer.transient) for answer in answers} == {("context_too_long", False)}
    assert "4096 tokens" in str(answers[0].detail)
    assert server.stats()["calls"] == 5
    assert len(kept(tmp_path, asked)) == 5


@pytest.mark.parametrize("fault", ["refusal", "empty_content", "truncated"])
def test_a_bad_answer_is_an_answer(server: FakeServer, tmp_path: Path, fault: str) -> None:
    server.configure(faults={fault: 1.0})
    with dispatching(tmp_path, {"small": model(server)}) as dispatcher:
        answers = dispatcher.ask(questions(3))
    assert all(answer.error is None and answer.attempts == 1 for answer in answers)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("header", ["0.6", "date"])
def test_retry_after_is_minded_by_all_questions_of_the_endpoint(tmp_path: Path, header: str) -> None:
    from datetime import UTC, datetime, timedelta
    from email.utils import format_datetime

    def answer(number: int, headers: Any) -> tuple[int, dict[str, str], bytes]:
        if number:
            return 200, {}, answer_body("yes")
        asked = format_datetime(datetime.now(UTC) + timedelta(seconds=2)) if header == "date" else header
        return 429, {"retry-after": asked}, error_body("slow down")

    with (
        ScriptedServer(answer) as server,
        dispatching(tmp_path, {"small": model(server.base_url, max_concurrency=1)}) as dispatcher,
    ):
        answers = dispatcher.ask(questions(3))
    assert [one.error for one in answers] == [None] * 3
    assert server.times[1] - server.times[0] >= 0.55


@pytest.mark.parametrize("asked", [None, 0.0, 3.0])
def test_waits_grow_with_jitter_and_are_never_shorter_than_asked(asked: float | None) -> None:
    waits = [lanes.backoff(attempt, asked) for attempt in range(40) for _ in range(20)]
    assert min(waits) >= (asked or 0.0)
    assert max(waits) <= lanes.LONGEST_WAIT_S + (asked or 0.0)
    assert max(lanes.backoff(0, None) for _ in range(50)) <= lanes.FIRST_WAIT_S
    assert len(set(waits)) > 100


def test_an_error_with_half_a_character_does_not_hang(tmp_path: Path) -> None:
    body = b'{"error": {"message": "cut at \\ud83d", "code": "bad"}}'
    with (
        ScriptedServer(lambda number, headers: (400, {}, body)) as server,
        dispatching(tmp_path, {"small": model(server.base_url)}) as dispatcher,
    ):
        answers = dispatcher.ask(questions(3))
        assert {answer.error for answer in answers} == {"rejected_by_server"}
        assert "cut at" in str(answers[0].detail)
    assert len(kept(tmp_path, questions(3))) == 3


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("content", ["\ud800", object(), float("nan")])
def test_a_question_that_cannot_be_sent_does_not_hang(server: FakeServer, tmp_path: Path, content: object) -> None:
    bad = Question("small", "0" * 32, {"messages": [{"role": "user", "content": content}]})
    with dispatching(tmp_path, {"small": model(server, max_retries=1)}) as dispatcher:
        answers = dispatcher.ask([question("good"), bad])
    assert answers[0].error is None
    assert (answers[1].error, answers[1].transient, answers[1].attempts) == ("cannot_be_sent", False, 1)


def test_a_label_that_no_model_has_does_not_hang(server: FakeServer, tmp_path: Path) -> None:
    with dispatching(tmp_path, {"small": model(server)}) as dispatcher, pytest.raises(KeyError, match="nobody"):
        dispatcher.ask([question("a", "nobody")])


@pytest.mark.usefixtures("quick")
def test_a_call_that_hangs_costs_one_slot_until_it_times_out(server: FakeServer, tmp_path: Path) -> None:
    server.configure(faults={"hang": 1.0}, fault_models=["slow"])
    models = {
        "slow": model(server, "slow", timeout_s=2, max_retries=0, max_concurrency=2),
        "small": model(server, max_concurrency=2),
    }
    with dispatching(tmp_path, models) as dispatcher, ThreadPoolExecutor(1) as threads:
        hanging = threads.submit(dispatcher.ask, [question("hang", "slow")])
        answers = dispatcher.ask(questions(30))
        assert not hanging.done()
        assert not [one for one in answers if one.error]
        [failed] = hanging.result(20)
    assert (failed.error, failed.transient) == ("time_out", True)
    assert "2 s" in str(failed.detail)
