"""The dispatcher and servers that say how much they take: a queue that is seen, and limits that are named."""

import itertools
import time
from pathlib import Path
from typing import Any

import openai
import pytest

from kasasagi.blocks.dispatch import server_lane
from kasasagi.blocks.dispatch.addresses import Address, Route
from kasasagi.blocks.endpoints.bounded_client import BoundedClient
from kasasagi.blocks.endpoints.openai import OpenAIEndpoint
from kasasagi.blocks.models.llm import Completion
from tests.blocks.helpers import (
    ScriptedServer,
    answer_body,
    background,
    dispatching,
    errors_of,
    model,
    questions,
    until,
)
from tests.fake_server import FakeServer

LISTED = (200, {}, b'{"data": [{"id": "small"}]}')


@pytest.mark.parametrize("silent", [0, 2], ids=["always", "each-second-time"])
def test_the_queue_of_a_vllm_server_is_watched(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, silent: int
) -> None:
    asked, waiting = itertools.count(1), OpenAIEndpoint.queue_length

    async def sometimes(endpoint: OpenAIEndpoint) -> int | None:
        return None if silent and next(asked) % silent == 0 else await waiting(endpoint)

    monkeypatch.setattr(OpenAIEndpoint, "queue_length", sometimes)
    monkeypatch.setattr(server_lane, "QUEUE_CHECK_S", 0.05)
    server.configure(owned_by="vllm", slots=8, first_token_s=0.2)
    with dispatching(tmp_path, {"small": model(server, max_concurrency=128)}) as dispatcher:
        background(lambda: errors_of(dispatcher, questions(2_000)))
        until(lambda: server.stats()["in_flight"] == 128)
        until(lambda: 8 <= server.stats()["in_flight"] <= 24)
        until(lambda: server.stats()["running"] == 8)


def test_the_metrics_of_other_servers_are_not_asked_for(server: FakeServer, tmp_path: Path) -> None:
    with dispatching(tmp_path, {"small": model(server)}) as dispatcher:
        dispatcher.ask(questions(10))
    assert "metrics" not in server.stats()["by_endpoint"]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("status", [200, 429])
def test_a_limit_of_which_nothing_is_left_is_waited_for(tmp_path: Path, status: int) -> None:
    def answer(number: int, headers: Any) -> tuple[int, dict[str, str], bytes]:
        spent = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "600ms"}
        return (status if number == 0 else 200), spent if number == 0 else {}, answer_body("yes")

    with (
        ScriptedServer(answer, LISTED) as scripted,
        dispatching(tmp_path, {"small": model(scripted.base_url, max_concurrency=1)}) as dispatcher,
    ):
        answers = dispatcher.ask(questions(3))
    assert [(one.error, one.wait_s) for one in answers] == [(None, None)] * 3
    assert scripted.times[1] - scripted.times[0] >= 0.55


def test_a_server_that_takes_few_is_not_flooded(server: FakeServer, tmp_path: Path) -> None:
    server.configure(slots=10, queue_limit=1, first_token_s=0.1, retry_after_s=None)
    with dispatching(tmp_path, {"small": model(server, max_concurrency=64, max_retries=50)}) as dispatcher:
        answers = dispatcher.ask(questions(200))
    assert not [one for one in answers if one.error]
    assert server.stats()["faults"]["http_429"] < 300


@pytest.mark.parametrize("cap", [{"requests_per_minute": 600}, {"tokens_per_minute": 60_000}])
def test_caps_a_minute_hold_for_a_model_whatever_its_labels(
    server: FakeServer, tmp_path: Path, cap: dict[str, int]
) -> None:
    """600 a minute are 30 at once and then one each tenth of a second; a call here takes about 100 tokens."""
    server.configure(tokens_mean=100.0)
    models = {"small": model(server, **cap), "twin": model(server, **cap)}
    with dispatching(tmp_path, models) as dispatcher:
        begun = time.monotonic()
        background(lambda: errors_of(dispatcher, [*questions(500), *questions(500, "twin")]))
        until(lambda: server.stats()["calls"] >= 50)
        assert time.monotonic() - begun > 1.0


@pytest.mark.parametrize(("tokens", "waits"), [(0, True), (1, False)])
def test_a_server_that_counts_no_tokens_is_capped_by_what_is_expected(tokens: int, waits: bool) -> None:
    capped = model("http://127.0.0.1:1/v1", tokens_per_minute=6_000)
    route = Route(
        "small",
        capped,
        Address(capped.addresses[0]),
        OpenAIEndpoint(capped, openai.AsyncOpenAI(api_key="x"), BoundedClient()),
    )
    call = route.on_send(0.0, 300)
    route.on_end(call, Completion("yes", completion_tokens=tokens), 0.1)
    assert (route.ready_at(0.1) > 1.0) == waits
