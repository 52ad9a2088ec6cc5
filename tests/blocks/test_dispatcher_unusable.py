"""The dispatcher and models that cannot be used: the run ends in one sentence, at the price of one request."""

import threading
from pathlib import Path
from typing import Any

import pytest

from kasasagi.blocks.dispatch import lanes
from kasasagi.blocks.dispatch.dispatcher import ModelUnusableError
from kasasagi.blocks.endpoints.openai import OpenAIEndpoint
from tests.blocks.helpers import (
    ScriptedServer,
    answer_body,
    background,
    dispatching,
    error_body,
    kept,
    model,
    question,
    questions,
    until,
)
from tests.fake_server import FakeServer


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


@pytest.mark.parametrize("listed", [True, False])
def test_a_wrong_key_that_is_refused_with_400_costs_one_request_and_leaves_nothing_in_the_ledger(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listed: bool
) -> None:
    server.configure(api_key="right", key_status=400)
    monkeypatch.setenv("SMALL_KEY", "wrong-key-1234567890")
    if not listed:
        monkeypatch.setattr(OpenAIEndpoint, "models", says_no_models)
    config = model(server, api_key_env="SMALL_KEY")
    with (
        dispatching(tmp_path, {"small": config}) as dispatcher,
        pytest.raises(ModelUnusableError, match=r"'small' .* 400 API key not valid.*; check the key and api_key_env$"),
    ):
        dispatcher.ask(questions(100))
    assert server.stats()["calls"] == (0 if listed else 1)
    assert not kept(tmp_path, questions(100))
    monkeypatch.setenv("SMALL_KEY", "right")
    with dispatching(tmp_path, {"small": config}) as dispatcher:
        assert not [one for one in dispatcher.ask(questions(100)) if one.error]


async def says_no_models(endpoint: OpenAIEndpoint) -> None:
    """A server that does not list its models."""


def test_credit_that_runs_out_with_400_ends_the_run_and_only_what_is_missing_is_asked_later(
    server: FakeServer, tmp_path: Path
) -> None:
    server.configure(credit=30)
    asked, config = questions(100), model(server, max_concurrency=1)
    with (
        dispatching(tmp_path, {"small": config}) as dispatcher,
        pytest.raises(ModelUnusableError, match=r"400: .*credit balance is too low.*; buy credit .* are kept$"),
    ):
        dispatcher.ask(asked)
    assert server.stats()["calls"] == 31
    assert [one.error for one in kept(tmp_path, asked).values()] == [None] * 30
    server.configure(credit=None)
    with dispatching(tmp_path, {"small": config}) as dispatcher:
        assert not [
            one for one in dispatcher.ask([one for one in asked if one.key not in kept(tmp_path, asked)]) if one.error
        ]
    assert server.stats()["calls"] == 101
    assert len(kept(tmp_path, asked)) == 100


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
        assert dispatcher.counters.answered == 20
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
        pytest.raises(ModelUnusableError, match=r"127\.0\.0\.1:9.*cannot connect.*start the server"),
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
    message = ""
    with ScriptedServer(answer, listed) as server:
        config = model(server.base_url, api_key_env="SMALL_KEY", max_retries=1, patience_s=0)
        with dispatching(tmp_path, {"small": config}) as dispatcher:
            try:
                message = " ".join(str(one.detail) for one in dispatcher.ask(questions(2)))
            except ModelUnusableError as error:
                message = str(error)
    assert "Incorrect" in message
    assert "secretSECRET" not in message
    assert "sk-SECRET" not in message
    everything = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert b"SECRETsecret" not in everything
