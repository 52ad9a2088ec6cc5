"""The dispatcher against a real server: limits, order, retries, what ends a run, and what is kept when it ends."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from blocks import dispatcher as dispatcher_module
from blocks import lanes
from blocks.dispatcher import Dispatcher, ModelUnusableError, Question, StoppedError
from blocks.ledger import LedgerError
from blocks.llm import Completion, Request
from blocks.models import BundledModel
from tests.blocks.helpers import (
    ScriptedServer,
    answer_body,
    dispatching,
    error_body,
    kept,
    model,
    question,
    questions,
    until,
)
from tests.fake_server import FakeServer, ServerConfig

PLAIN = ServerConfig(models=("small", "large", "slow"))


@pytest.fixture(scope="module")
def running() -> Iterator[FakeServer]:
    with FakeServer() as server:
        yield server


@pytest.fixture
def server(running: FakeServer) -> FakeServer:
    running.configure(**PLAIN.model_dump())
    running.reset_stats()
    return running


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "FIRST_WAIT_S", 0.001)
    monkeypatch.setattr(lanes, "LONGEST_WAIT_S", 0.01)


def background(work: Callable[[], Any]) -> "threading.Thread":
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def contents(server: FakeServer) -> list[str]:
    return [request["body"]["messages"][-1]["content"] for request in server.requests()]


def errors_of(dispatcher: Dispatcher, asked: Sequence[Question]) -> list[BaseException]:
    """What asking raises, taken in a thread."""
    raised: list[BaseException] = []
    try:
        dispatcher.ask(asked)
    except BaseException as error:
        raised.append(error)
    return raised


def test_answers_come_in_the_order_of_the_questions_and_lie_in_the_ledger(server: FakeServer, tmp_path: Path) -> None:
    asked = questions(50)
    with dispatching(tmp_path, {"small": model(server)}) as dispatcher:
        answers = dispatcher.ask(asked)
        assert kept(tmp_path, asked) == {one.key: answer for one, answer in zip(asked, answers, strict=True)}
        assert dispatcher.tally.answered == 50
        assert dispatcher.tally.completion_tokens == sum(answer.completion_tokens for answer in answers) > 0
        again = [dispatcher.ask([one])[0] for one in asked[:3]]
    assert [answer.text for answer in again] == [answer.text for answer in answers[:3]]
    assert all(answer.error is None and answer.text and answer.attempts == 1 for answer in answers)


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
        until(lambda: dispatcher.tally.asked == 5)
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
        until(lambda: dispatcher.tally.asked == 4)
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


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("fault", ["http_429", "http_500", "reset", "cut_body", "malformed_json"])
def test_each_fault_that_may_pass_is_tried_again(server: FakeServer, tmp_path: Path, fault: str) -> None:
    server.configure(faults={fault: 0.5}, retry_after_s=0.01)
    asked = questions(20)
    with dispatching(tmp_path, {"small": model(server, max_retries=50)}) as dispatcher:
        answers = dispatcher.ask(asked)
        assert dispatcher.tally.retried == server.stats()["faults"][fault] > 0
    assert not [answer for answer in answers if answer.error]
    assert max(answer.attempts for answer in answers) > 1
    assert len(kept(tmp_path, asked)) == 20
    assert all(count["finished"] == 1 for count in server.samples().values())


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("http_429", "rate_limited"),
        ("http_500", "server_error"),
        ("reset", "connection"),
        ("cut_body", "connection"),
        ("malformed_json", "malformed_reply"),
    ],
)
def test_a_fault_that_does_not_pass_is_a_reason_and_is_not_kept(
    server: FakeServer, tmp_path: Path, fault: str, error: str
) -> None:
    server.configure(faults={fault: 1.0}, retry_after_s=None)
    asked = questions(3)
    with dispatching(tmp_path, {"small": model(server, max_retries=2)}) as dispatcher:
        answers = dispatcher.ask(asked)
    assert {(answer.error, answer.transient, answer.attempts) for answer in answers} == {(error, True, 3)}
    assert server.stats()["calls"] == 9
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


def test_a_wrong_key_ends_the_run_before_a_question_is_sent(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.configure(api_key="right")
    monkeypatch.setenv("SMALL_KEY", "wrong-key-1234567890")
    with dispatching(tmp_path, {"small": model(server, api_key_env="SMALL_KEY")}) as dispatcher:
        with pytest.raises(ModelUnusableError, match=r"'small' .* 401.*check the key"):
            dispatcher.ask(questions(100))
        assert isinstance(dispatcher.stopped_by, ModelUnusableError)
        with pytest.raises(ModelUnusableError):
            dispatcher.ask([question("one more")])
    stats = server.stats()
    assert (stats["calls"], stats["by_endpoint"]["models"]["calls"]) == (0, 1)


def test_a_right_key_with_a_line_end_works(server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.configure(api_key="right")
    monkeypatch.setenv("SMALL_KEY", "right\r\n")
    with dispatching(tmp_path, {"small": model(server, api_key_env="SMALL_KEY")}) as dispatcher:
        assert dispatcher.ask([question("hello")])[0].error is None


@pytest.mark.parametrize("key", ["schlüssel", "鵲鵲鵲", "a\nb"])
def test_a_key_that_no_header_can_hold_ends_the_run(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setattr(lanes, "FIRST_WAIT_S", 0.001)
    monkeypatch.setenv("SMALL_KEY", key)
    with (
        dispatching(tmp_path, {"small": model(server, api_key_env="SMALL_KEY", max_retries=1)}) as dispatcher,
        pytest.raises(ModelUnusableError) as raised,
    ):
        dispatcher.ask([question("hello")])
    assert key not in str(raised.value)
    assert server.stats()["calls"] == 0


def test_a_missing_key_is_named_and_nothing_is_sent(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SMALL_KEY", raising=False)
    with (
        dispatching(tmp_path, {"small": model(server, api_key_env="SMALL_KEY")}) as dispatcher,
        pytest.raises(ModelUnusableError, match="SMALL_KEY is not set"),
    ):
        dispatcher.ask(questions(3))
    assert server.stats()["by_endpoint"] == {}


def test_an_unknown_model_ends_the_run_after_one_question(server: FakeServer, tmp_path: Path) -> None:
    server.configure(models=["other"])
    with (
        dispatching(tmp_path, {"small": model(server)}) as dispatcher,
        pytest.raises(ModelUnusableError, match=r"small.*404.*does not exist"),
    ):
        dispatcher.ask(questions(100))
    assert server.stats()["calls"] == 1


@pytest.mark.usefixtures("quick")
def test_where_the_server_does_not_say_its_models_one_question_goes_ahead(tmp_path: Path) -> None:
    release = threading.Event()

    def answer(number: int, headers: Any) -> tuple[int, dict[str, str], bytes]:
        if number == 0:
            return 500, {}, error_body("not yet")
        if number == 1:
            release.wait(20)
        return 200, {}, answer_body("yes")

    with ScriptedServer(answer) as server, dispatching(tmp_path, {"small": model(server.base_url)}) as dispatcher:
        asking = background(lambda: dispatcher.ask(questions(20)))
        until(lambda: server.posts == 2)
        assert dispatcher.in_flight() == 1
        release.set()
        asking.join(20)
        assert dispatcher.tally.answered == 20
    assert server.posts == 21


@pytest.mark.usefixtures("quick")
def test_the_limit_holds_while_one_question_goes_ahead(tmp_path: Path) -> None:
    busy, most = [0], [0]
    lock = threading.Lock()

    def answer(number: int, headers: Any) -> tuple[int, dict[str, str], bytes]:
        with lock:
            busy[0] += 1
            most[0] = max(most[0], busy[0])
        threading.Event().wait(0.01)
        with lock:
            busy[0] -= 1
        return 200, {}, answer_body("yes")

    with ScriptedServer(answer) as server:
        models = {name: model(server.base_url, name, max_concurrency=2) for name in ("small", "large", "third")}
        with dispatching(tmp_path, models) as dispatcher:
            dispatcher.ask([one for name in models for one in questions(10, name)])
    assert most[0] == 2


@pytest.mark.usefixtures("quick")
def test_nobody_at_the_address_ends_the_run(tmp_path: Path) -> None:
    with (
        dispatching(tmp_path, {"small": model("http://127.0.0.1:9/v1", max_retries=2)}) as dispatcher,
        pytest.raises(ModelUnusableError, match=r"127\.0\.0\.1:9.*nobody answers.*start the server"),
    ):
        dispatcher.ask(questions(3))


@pytest.mark.parametrize("place", ["models", "question", "late", "malformed"])
@pytest.mark.parametrize("padding", [0, 430])
def test_a_key_that_the_server_repeats_is_masked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, padding: int
) -> None:
    secret = "sk-SECRETsecretSECRETsecret0123456789"
    monkeypatch.setenv("SMALL_KEY", secret)
    monkeypatch.setattr(lanes, "FIRST_WAIT_S", 0.001)
    echo = error_body("." * padding + f"Incorrect API key provided: {secret}.")

    def answer(number: int, headers: Any) -> tuple[int, dict[str, str], bytes]:
        if place == "malformed":
            return 200, {}, echo
        return (401, {}, echo) if place == "question" else (400, {}, echo)

    listed = (401, {}, echo) if place == "models" else (404, {}, b"{}")
    said = ""
    with ScriptedServer(answer, listed) as server:
        config = model(server.base_url, api_key_env="SMALL_KEY", max_retries=1)
        with dispatching(tmp_path, {"small": config}) as dispatcher:
            try:
                said = " ".join(str(one.detail) for one in dispatcher.ask(questions(2)))
            except ModelUnusableError as error:
                said = str(error)
    assert "Incorrect" in said
    assert "secretSECRET" not in said
    assert "sk-SECRET" not in said
    everything = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert b"SECRETsecret" not in everything


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
    assert answers[1].transient


def test_a_label_that_no_model_has_does_not_hang(server: FakeServer, tmp_path: Path) -> None:
    with dispatching(tmp_path, {"small": model(server)}) as dispatcher, pytest.raises(KeyError, match="nobody"):
        dispatcher.ask([question("a", "nobody")])


@pytest.mark.usefixtures("quick")
def test_a_call_that_hangs_costs_one_slot_until_it_times_out(server: FakeServer, tmp_path: Path) -> None:
    server.configure(faults={"hang": 1.0}, fault_models=["slow"])
    models = {
        "slow": model(server, "slow", timeout_s=0.5, max_retries=0, max_concurrency=2),
        "small": model(server, max_concurrency=2),
    }
    with dispatching(tmp_path, models) as dispatcher, ThreadPoolExecutor(1) as threads:
        hanging = threads.submit(dispatcher.ask, [question("hang", "slow")])
        answers = dispatcher.ask(questions(30))
        assert not hanging.done()
        assert not [one for one in answers if one.error]
        [failed] = hanging.result(20)
    assert (failed.error, failed.transient) == ("time_out", True)
    assert "0.5 s" in str(failed.detail)


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
            until(lambda: dispatcher.tally.answered > 20)
            dispatcher.close(drain_s=20)
            thread.join(5)
        assert len(kept(folder, asked)) == dispatcher.tally.answered


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
        until(lambda: dispatcher.tally.answered)
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

    monkeypatch.setattr("blocks.ledger.Ledger.append", fails)
    with (
        dispatching(tmp_path, {"small": model(server, max_concurrency=2)}) as dispatcher,
        pytest.raises(LedgerError, match="the disk is full"),
    ):
        dispatcher.ask(questions(200))
    assert server.stats()["calls"] < 50


class Parrot:
    """An engine that says what it was asked, and counts its batches."""

    batch_size = 8

    def __init__(self, fault: str = "") -> None:
        self.fault = fault
        self.batches: list[int] = []

    def identity(self) -> str:
        return "parrot@1"

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        self.batches.append(len(requests))
        if self.fault == "raises":
            raise RuntimeError("out of memory")
        answers = [Completion(text=request["messages"][0]["content"], completion_tokens=2) for request in requests]
        return answers[:-1] if self.fault == "short" else answers


def bundled(**fields: Any) -> BundledModel:
    return BundledModel.model_validate({"kind": "bundled", **fields})


def test_an_engine_is_asked_in_batches_and_shared_by_its_labels(tmp_path: Path) -> None:
    parrot = Parrot()
    models = {"one": bundled(usd_per_million_tokens={"output": 500_000}), "two": bundled()}
    with dispatching(tmp_path, models, {"one": parrot, "two": parrot}) as dispatcher:
        answers = dispatcher.ask([*questions(20, "one", "a"), *questions(12, "two", "b")])
        assert dispatcher.tally.cost_usd == pytest.approx(20)
        assert dispatcher.engine("one") is parrot
    assert [answer.text for answer in answers] == [f"a {n}" for n in range(20)] + [f"b {n}" for n in range(12)]
    assert Counter(parrot.batches) == {8: 4}


@pytest.mark.parametrize(("fault", "said"), [("raises", "RuntimeError: out of memory"), ("short", "7 answers to 8")])
def test_an_engine_that_fails_ends_the_run(tmp_path: Path, fault: str, said: str) -> None:
    with (
        dispatching(tmp_path, {"one": bundled()}, {"one": Parrot(fault)}) as dispatcher,
        pytest.raises(ModelUnusableError, match=said),
    ):
        dispatcher.ask(questions(20, "one"))
