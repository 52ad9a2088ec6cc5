"""One model at several addresses: the work is spread, and no address that is down, slow or wrong stops the others."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from kasasagi.blocks.dispatch import availability
from kasasagi.blocks.dispatch.availability import TOLERATED_FAILURES, Availability
from kasasagi.blocks.dispatch.dispatcher import Dispatcher, ModelUnusableError
from kasasagi.blocks.dispatch.limits.adaptive_concurrency import SentCall
from kasasagi.blocks.models.llm import Completion
from tests.blocks.helpers import (
    ScriptedServer,
    answer_body,
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

NOBODY = "http://127.0.0.1:9/v1"


def both(*servers: FakeServer | str, **fields: Any) -> Any:
    urls = [one if isinstance(one, str) else one.base_url for one in servers]
    return model("http://127.0.0.1:1/v1", **{"base_url": urls, **fields})


def calls(server: FakeServer) -> int:
    return int(server.stats()["calls"])


def greeted(dispatcher: Dispatcher, *servers: FakeServer) -> None:
    """Ask until the model is asked at every address, and reset the accounts."""
    batches = (questions(2 * len(servers), about=f"batch {number}") for number in range(100_000))
    until(lambda: dispatcher.ask(next(batches)) and all(map(calls, servers)))
    for server in servers:
        server.reset_stats()


def test_the_work_is_spread_over_all_addresses(server: FakeServer, second: FakeServer, tmp_path: Path) -> None:
    for one in (server, second):
        one.configure(first_token_s=0.02)
    asked = questions(120)
    with dispatching(tmp_path, {"small": both(server, second, max_concurrency=4)}) as dispatcher:
        greeted(dispatcher, server, second)
        answers = dispatcher.ask(asked)
    assert not [one for one in answers if one.error]
    assert calls(server) + calls(second) == 120 == len(kept(tmp_path, asked))
    assert min(calls(server), calls(second)) > 30
    assert server.stats()["peak_in_flight"] == second.stats()["peak_in_flight"] == 4


def test_a_larger_address_gets_the_larger_share(server: FakeServer, second: FakeServer, tmp_path: Path) -> None:
    """large raises the limit of one address; few questions go by the share of the limits that is free."""
    for one in (server, second):
        one.configure(first_token_s=0.2)
    models = {"small": both(server, second, max_concurrency=4), "large": model(second, "large", max_concurrency=12)}
    with dispatching(tmp_path, models) as dispatcher:
        dispatcher.ask([question("first", "large")])
        greeted(dispatcher, server, second)
        dispatcher.ask(questions(8))
    assert (calls(server), calls(second)) == (2, 6)


def test_models_that_share_an_address_share_its_limit(server: FakeServer, second: FakeServer, tmp_path: Path) -> None:
    for one in (server, second):
        one.configure(first_token_s=0.01)
    models = {"small": both(server, second, max_concurrency=3), "large": model(second, "large", max_concurrency=3)}
    with dispatching(tmp_path, models) as dispatcher:
        greeted(dispatcher, server, second)
        dispatcher.ask([*questions(40), *questions(40, "large")])
    assert (server.stats()["peak_in_flight"], second.stats()["peak_in_flight"]) == (3, 3)
    assert calls(second) > 40


@pytest.mark.usefixtures("quick")
def test_an_address_where_nobody_answers_does_not_stop_the_model(server: FakeServer, tmp_path: Path) -> None:
    with dispatching(tmp_path, {"small": both(NOBODY, server, max_retries=1)}) as dispatcher:
        answers = dispatcher.ask(questions(30))
        assert not [one for one in answers if one.error]
        assert dispatcher.stopped_by is None
    assert {one.attempts for one in answers} == {1}


@pytest.mark.usefixtures("quick")
def test_nobody_at_any_address_ends_the_run(tmp_path: Path) -> None:
    nobody = both(NOBODY, "http://127.0.0.1:10/v1", max_retries=2)
    with (
        dispatching(tmp_path, {"small": nobody}) as dispatcher,
        pytest.raises(ModelUnusableError, match=r"127\.0\.0\.1:9/v1, http://127\.0\.0\.1:10/v1\).*cannot connect"),
    ):
        dispatcher.ask(questions(3))


@pytest.mark.usefixtures("quick")
def test_an_address_that_comes_up_later_takes_its_part(server: FakeServer, tmp_path: Path) -> None:
    server.configure(first_token_s=0.01)
    with FakeServer(models=["small"]) as late:
        port, address = late.port, late.base_url
        late.stop()
        with dispatching(tmp_path, {"small": both(server, address, max_concurrency=2, max_retries=0)}) as dispatcher:
            dispatcher.ask(questions(10))
            late.start(port)
            threads = background(lambda: errors_of(dispatcher, questions(5_000, about="more")))
            until(lambda: calls(late) > 3)
            dispatcher.close()
            threads.join(5)


@pytest.mark.usefixtures("quick")
def test_an_address_that_goes_down_loses_no_question(server: FakeServer, tmp_path: Path) -> None:
    server.configure(first_token_s=0.02)
    asked = questions(200)
    with FakeServer(models=["small"], first_token_s=0.02) as dying:
        models = {"small": both(server, dying, max_concurrency=4, max_retries=2)}
        with dispatching(tmp_path, models) as dispatcher, ThreadPoolExecutor(1) as threads:
            asking = threads.submit(dispatcher.ask, asked)
            until(lambda: calls(dying) > 20)
            dying.stop()
            answers = asking.result(30)
    assert not [one for one in answers if one.error]
    assert len(kept(tmp_path, asked)) == 200
    assert all(count["finished"] == 1 for count in server.samples().values())


@pytest.mark.usefixtures("quick")
def test_an_address_that_always_fails_gets_little_to_do(server: FakeServer, second: FakeServer, tmp_path: Path) -> None:
    server.configure(first_token_s=0.01)
    second.configure(faults={"http_500": 1.0})
    with dispatching(tmp_path, {"small": both(server, second, max_concurrency=4, max_retries=4)}) as dispatcher:
        answers = dispatcher.ask(questions(200))
    assert not [one for one in answers if one.error]
    assert calls(second) <= 10


@pytest.mark.usefixtures("quick")
def test_a_call_is_tried_again_at_another_address(server: FakeServer, second: FakeServer, tmp_path: Path) -> None:
    """Whichever address fails first, the other one answers the second attempt."""
    with dispatching(tmp_path, {"small": both(second, server, max_concurrency=1, max_retries=1)}) as dispatcher:
        greeted(dispatcher, server, second)
        second.configure(faults={"http_500": 1.0})
        for number in range(6):
            assert dispatcher.ask([question(f"question {number}")])[0].error is None


def test_an_address_that_hangs_costs_its_own_slots(server: FakeServer, second: FakeServer, tmp_path: Path) -> None:
    models = {"small": both(server, second, max_concurrency=2, timeout_s=60, max_retries=0)}
    with dispatching(tmp_path, models) as dispatcher:
        greeted(dispatcher, server, second)
        second.configure(faults={"hang": 1.0})
        background(lambda: errors_of(dispatcher, questions(4, about="hangs")))
        until(lambda: calls(second) == 2)
        assert not [one for one in dispatcher.ask(questions(30)) if one.error]
    assert calls(second) == 2


@pytest.mark.usefixtures("quick")
def test_an_address_that_asks_for_a_pause_leaves_the_work_to_the_other(server: FakeServer, tmp_path: Path) -> None:
    busy = (429, {"retry-after": "300"}, error_body("slow down"))
    with (
        ScriptedServer(lambda number, headers: busy, (200, {}, b'{"data": [{"id": "small"}]}')) as pausing,
        dispatching(tmp_path, {"small": both(pausing.base_url, server, max_concurrency=2)}) as dispatcher,
    ):
        assert not [one for one in dispatcher.ask(questions(40)) if one.error]
        assert pausing.posts <= 2


@pytest.mark.parametrize("fault", [{"api_key": "right"}, {"models": ["other"]}])
def test_a_wrong_key_or_an_unknown_model_at_one_address_ends_the_run(
    server: FakeServer, second: FakeServer, tmp_path: Path, fault: dict[str, Any]
) -> None:
    server.configure(first_token_s=0.05)
    second.configure(**fault)
    with (
        dispatching(tmp_path, {"small": both(server, second, max_concurrency=2)}) as dispatcher,
        pytest.raises(ModelUnusableError, match=rf"'small' \(small at {second.base_url}\).*40[14]"),
    ):
        dispatcher.ask(questions(500))
    assert calls(second) <= 1


@pytest.mark.usefixtures("quick")
def test_one_question_goes_ahead_at_each_address_that_does_not_say_its_models(tmp_path: Path) -> None:
    release = threading.Event()

    def answer(number: int, headers: Any) -> tuple[int, dict[str, str], bytes]:
        release.wait(20)
        return 200, {}, answer_body("yes")

    with (
        ScriptedServer(answer) as one,
        ScriptedServer(answer) as other,
        dispatching(tmp_path, {"small": both(one.base_url, other.base_url)}) as dispatcher,
    ):
        asking = background(lambda: dispatcher.ask(questions(20)))
        until(lambda: one.posts == other.posts == 1)
        assert dispatcher.in_flight() == 2
        release.set()
        asking.join(20)
        assert dispatcher.counters.answered == 20


def _call(number: int, at: float) -> SentCall:
    return SentCall(at, number, 1, 0)


DOWN = Completion(error="connection", transient=True, unavailable=True)
FAILED = Completion(error="server_error", transient=True)


def failing(completion: Completion, at: float = 10.0, questions: int = 0) -> Availability:
    found = Availability()
    for number in range(TOLERATED_FAILURES):
        found.on_failure(at, _call(number, at - 1), completion)
    for number in range(questions):
        found.add_question(str(number))
    return found


def test_a_model_that_is_down_rests_longer_each_time_and_not_for_calls_of_before() -> None:
    found = failing(DOWN)
    assert found.is_resting(10.5)
    assert not found.is_resting(11.5)
    for number in range(20):
        found.on_failure(10.2, _call(number, 9.5), DOWN)
    assert not found.is_resting(11.5)
    found.on_send(100)
    assert not found.admits_call(others_work=False)
    found.on_failure(12.0, _call(100, 11.5), DOWN)
    assert found.admits_call(others_work=False)
    assert found.is_resting(13.5)
    found.on_answer(13.6)
    assert not found.is_resting(13.6)
    assert found.admits_call(others_work=False)


@pytest.mark.parametrize(
    ("completion", "questions", "outage"), [(DOWN, 0, True), (FAILED, 4, False), (FAILED, 5, True)]
)
def test_an_outage_is_what_no_single_question_can_be_at_fault_for(
    completion: Completion, questions: int, outage: bool
) -> None:
    found = failing(completion, questions=questions)
    found.on_send(100)
    assert found.is_outage == outage
    assert found.admits_call(others_work=False) == (not outage)
    assert not found.admits_call(others_work=True)
    assert found.is_down_too_long(10_000.0, 600.0) == outage


def test_no_number_of_failures_is_too_large() -> None:
    found = Availability()
    for number in range(5_000):
        found.on_send(number)
        found.on_failure(float(number), _call(number, float(number)), DOWN)
    assert found.rest_until == 4_999 + availability.LONGEST_REST_S


def test_a_model_is_down_too_long_when_patience_is_over() -> None:
    found = failing(DOWN, 100.0)
    assert not found.is_down_too_long(699.0, 600.0)
    assert found.is_down_too_long(700.0, 600.0)
    assert not found.pause_exceeds(100.0, 600.0)
    found.pause(750.0)
    assert found.is_down_too_long(100.0, 600.0)
    assert found.pause_exceeds(100.0, 600.0)
    found.on_answer(750.0)
    assert not found.is_down_too_long(800.0, 600.0)
    assert not found.pause_exceeds(100.0, 600.0)
