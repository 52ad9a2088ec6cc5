"""Servers that are down for a while: no call is lost, none is hammered, and patience has an end.

Waits are a 250th of what they are for users, and so are the outages.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from kasasagi.blocks.dispatch import availability, lanes, server_lane
from kasasagi.blocks.dispatch.addresses import Route
from kasasagi.blocks.dispatch.dispatcher import Dispatcher, DispatcherError, ModelUnusableError
from kasasagi.blocks.dispatch.limits import adaptive_concurrency
from kasasagi.blocks.endpoints.openai import OpenAIEndpoint
from kasasagi.blocks.models.llm import Completion
from tests.blocks.helpers import (
    Reply,
    ScriptedServer,
    answer_body,
    dispatching,
    error_body,
    errors_of,
    kept,
    model,
    questions,
    until,
)
from tests.fake_server import FakeServer

SCALE = 0.004
MODELS = (200, {}, b'{"data": [{"id": "small"}]}')


@pytest.fixture(autouse=True)
def _scaled(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, names in (
        (lanes, ("FIRST_WAIT_S", "LONGEST_WAIT_S")),
        (availability, ("FIRST_REST_S", "LONGEST_REST_S")),
        (adaptive_concurrency, ("FIRST_PAUSE_S", "LONGEST_PAUSE_S")),
    ):
        for name in names:
            monkeypatch.setattr(module, name, getattr(module, name) * SCALE)
    monkeypatch.setattr(server_lane, "WORTH_LOGGING_S", server_lane.WORTH_LOGGING_S * SCALE)


@contextmanager
def listening(dispatcher: Dispatcher) -> Iterator[list[str]]:
    lines: list[str] = []
    dispatcher.log = lines.append
    yield lines


@contextmanager
def outage(server: FakeServer, kind: int | str, seconds: float, noticed: Callable[[], bool]) -> Iterator[None]:
    """A server that stops answering now, and answers again after that time, but not before that was noticed."""

    def end() -> None:
        time.sleep(seconds)
        until(noticed)
        server.start(port) if kind == "down" else server.configure(status_all=None)

    port = server.port
    server.stop() if kind == "down" else server.configure(status_all=kind)
    healing = threading.Thread(target=end)
    healing.start()
    yield
    healing.join()


@pytest.mark.parametrize("seconds", [10, 45, 300])
@pytest.mark.parametrize("kind", ["down", 500, 503, 429])
def test_no_call_is_lost_to_an_outage(tmp_path: Path, kind: int | str, seconds: int) -> None:
    asked = questions(400)
    is_told = seconds >= 45 and kind != 429
    with FakeServer(models=["small"], first_token_s=0.05, slots=64) as server:
        models = {"small": model(server, max_concurrency=64, patience_s=600 * SCALE + 20)}
        with dispatching(tmp_path, models) as dispatcher, listening(dispatcher) as lines, ThreadPoolExecutor(1) as pool:
            asking = pool.submit(dispatcher.ask, asked)
            until(lambda: dispatcher.counters.answered > 50)
            with outage(server, kind, seconds * SCALE, lambda: bool(lines) or not is_told):
                answers = asking.result(60)
    assert not [one for one in answers if one.error]
    assert len(kept(tmp_path, asked)) == 400
    if is_told:
        assert "does not answer" in lines[0]
        assert "answers again" in lines[-1]


def test_a_server_that_is_down_from_the_start_is_waited_for(tmp_path: Path) -> None:
    with FakeServer(models=["small"], status_all=503) as server:
        models = {"small": model(server, patience_s=20)}
        with dispatching(tmp_path, models) as dispatcher, listening(dispatcher) as lines, ThreadPoolExecutor(1) as pool:
            asking = pool.submit(dispatcher.ask, questions(20))
            until(lambda: any("is loading" in line for line in lines))
            server.configure(status_all=None)
            assert not [one for one in asking.result(60) if one.error]


def test_a_server_that_loads_for_ever_is_unusable(tmp_path: Path) -> None:
    with (
        FakeServer(models=["small"], status_all=503) as server,
        dispatching(tmp_path, {"small": model(server, patience_s=0.3)}) as dispatcher,
        pytest.raises(ModelUnusableError, match=r"still loading \(503: .*patience_s"),
    ):
        dispatcher.ask(questions(3))


def test_a_server_that_is_down_is_tried_by_single_calls(tmp_path: Path) -> None:
    with FakeServer(models=["small"]) as server:
        models = {"small": model(server, max_concurrency=64, patience_s=2, max_retries=3)}
        with dispatching(tmp_path, models) as dispatcher, listening(dispatcher) as lines:
            dispatcher.ask(questions(100, about="before"))
            server.configure(status_all=500)
            server.reset_stats()
            answers = dispatcher.ask(questions(400))
            calls = server.stats()["calls"]
    assert {(one.error, one.transient) for one in answers} == {("server_error", True)}
    assert calls < 64 + 2 / (availability.LONGEST_REST_S) + 30
    assert sum("given up" in line for line in lines) == 1
    assert "raise patience_s" in lines[-1]


def test_a_daily_quota_ends_at_once_and_another_model_goes_on(tmp_path: Path) -> None:
    def answer(number: int, headers: Message) -> Reply:
        return 429, {"retry-after": "86400"}, error_body("You have used up your quota of the day")

    with ScriptedServer(answer, MODELS) as spent, FakeServer(models=["large"]) as other:
        models = {"small": model(spent.base_url), "large": model(other, "large")}
        with dispatching(tmp_path, models) as dispatcher, listening(dispatcher) as lines:
            answers = dispatcher.ask([*questions(20), *questions(20, "large")])
            later = dispatcher.ask(questions(20, about="later"))
    assert {one.error for one in answers[:20] + later} == {"rate_limited"}
    assert not [one for one in answers[20:] if one.error]
    assert spent.posts <= 20
    assert "quota of the day" in lines[0]


def test_the_other_model_at_an_address_goes_on_while_one_is_refused(tmp_path: Path) -> None:
    with FakeServer(
        models=["small", "large"], faults={"http_429": 1.0}, fault_models=["small"], retry_after_s=3000
    ) as both:
        models = {"small": model(both), "large": model(both, "large")}
        with dispatching(tmp_path, models) as dispatcher:
            answers = dispatcher.ask([*questions(20), *questions(40, "large")])
    assert {one.error for one in answers[:20]} == {"rate_limited"}
    assert not [one for one in answers[20:] if one.error]


def test_a_quota_of_the_day_ends_at_once_however_short_a_wait_the_server_asks(tmp_path: Path) -> None:
    details = [{"violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel"}]}, {"retryDelay": "1s"}]
    error = {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "You exceeded your quota", "details": details}
    body = json.dumps([{"error": error}]).encode()
    with (
        ScriptedServer(lambda number, headers: (429, {}, body), MODELS) as server,
        dispatching(tmp_path, {"small": model(server.base_url)}) as dispatcher,
        listening(dispatcher) as lines,
    ):
        answers = dispatcher.ask(questions(20))
    assert {one.error for one in answers} == {"rate_limited"}
    assert server.posts <= 20
    assert "refuses calls" in lines[0]


@pytest.mark.parametrize("status", [429, 503])
def test_a_lone_question_is_as_patient_as_many(tmp_path: Path, status: int) -> None:
    def answer(number: int, headers: Message) -> Reply:
        return (200, {}, answer_body("at last")) if number > 15 else (status, {}, error_body("down"))

    with (
        ScriptedServer(answer, MODELS) as server,
        dispatching(tmp_path, {"small": model(server.base_url, max_retries=2)}) as dispatcher,
    ):
        [found] = dispatcher.ask(questions(1))
    assert (found.text, found.attempts) == ("at last", 17)


def test_questions_that_always_fail_are_no_outage(server: FakeServer, tmp_path: Path) -> None:
    """They are the last ones in the end, when nothing else is answered."""
    asked = [*questions(150), *questions(20, about="poison"), *questions(50, about="later")]
    server.configure(first_token_s=0.02)
    original = OpenAIEndpoint.complete

    async def complete(self: OpenAIEndpoint, request: Any, read: Any = None) -> Completion:
        if "poison" in request["messages"][-1]["content"]:
            return Completion(error="server_error", detail="500: poison", transient=True)
        return await original(self, request, read)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OpenAIEndpoint, "complete", complete)
        with dispatching(tmp_path, {"small": model(server, max_concurrency=8, max_retries=4)}) as dispatcher:
            answers = dispatcher.ask(asked)
    assert {one.error for one in answers[150:170]} == {"server_error"}
    assert not [one for one in answers[:150] + answers[170:] if one.error]


@pytest.mark.parametrize("broken", ["on_end", "on_send"])
def test_a_fault_of_the_dispatcher_ends_the_run_with_a_sentence(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    def fail(*arguments: Any) -> float:
        raise OverflowError("int too large to convert to float")

    monkeypatch.setattr(Route, broken, fail)
    with dispatching(tmp_path, {"small": model(server)}) as dispatcher:
        [error] = errors_of(dispatcher, questions(20))
    assert isinstance(error, DispatcherError)
    assert "OverflowError: int too large" in str(error)
    assert "paid calls are kept" in str(error)
