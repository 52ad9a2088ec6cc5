"""Completions that share a call: one request for several samples, each with its own entry, key and tokens."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasasagi.blocks.canonical import ledger_key
from kasasagi.blocks.dispatch.pending_requests import Question
from kasasagi.blocks.dispatch.shared_calls import complete_shared, divide, read_shared
from kasasagi.blocks.dispatch.sharing import shared_request
from kasasagi.blocks.endpoints.openai import OpenAIEndpoint
from tests.blocks.helpers import Reply, ScriptedServer, dispatching, error_body, kept, model
from tests.fake_server import FakeServer

GREETING = (200, {}, json.dumps({"data": [{"id": "small"}]}).encode())


@pytest.fixture(scope="module")
def server() -> Iterator[FakeServer]:
    with FakeServer(models=("small",)) as running:
        yield running


def draws(count: int, prompt: Any = "<user>", **fields: Any) -> list[Question]:
    request = {"prompt": prompt, "temperature": 1.0, **fields}
    return [Question("small", ledger_key("small", request, number), request) for number in range(count)]


def choice(index: int, text: str) -> dict[str, Any]:
    return {"index": index, "text": text, "finish_reason": "stop"}


def reply(choices: Sequence[Any], usage: Any = None) -> Reply:
    return 200, {}, json.dumps({"choices": list(choices), "usage": usage}).encode()


def test_equal_draws_share_calls_and_each_is_kept_under_its_own_key(server: FakeServer, tmp_path: Path) -> None:
    server.reset_stats()
    asked = draws(10)
    with dispatching(tmp_path, {"small": model(server)}) as dispatcher:
        answers = dispatcher.ask(asked)
    bodies = [request["body"] for request in server.requests()]
    assert sorted(body.get("n", 1) for body in bodies) == [2, 4, 4]
    assert all(body["prompt"] == "<user>" and "seed" not in body for body in bodies)
    assert len({answer.text for answer in answers}) == 10
    assert len(kept(tmp_path, asked)) == 10
    counters = server.stats()["by_model"]["small"]
    assert sum(answer.completion_tokens for answer in answers) == counters["completion_tokens"]
    assert sum(answer.prompt_tokens for answer in answers) == counters["prompt_tokens"]


def test_draws_of_different_prompts_share_a_call_as_a_list(server: FakeServer, tmp_path: Path) -> None:
    server.reset_stats()
    asked = [one for prompt in ("<a>", "<b>", [7, 8], [9]) for one in draws(1, prompt)]
    with dispatching(tmp_path, {"small": model(server)}) as dispatcher:
        dispatcher.ask(asked)
        dispatcher.ask(draws(4, "<later>"))
    prompts = [request["body"]["prompt"] for request in server.requests()]
    assert prompts == [["<a>", "<b>", [7, 8], [9]], "<later>"]
    assert [request["body"].get("n") for request in server.requests()] == [None, 4]
    assert len(kept(tmp_path, asked)) == 4


@pytest.mark.parametrize(("fields", "model_fields"), [({"seed": 5}, {}), ({}, {"draws_per_call": 1})])
def test_draws_with_a_seed_go_alone_and_so_do_all_where_the_recipe_says_so(
    server: FakeServer, tmp_path: Path, fields: dict[str, Any], model_fields: dict[str, Any]
) -> None:
    server.reset_stats()
    with dispatching(tmp_path, {"small": model(server, **model_fields)}) as dispatcher:
        dispatcher.ask(draws(5, **fields))
    assert [request["body"].get("n") for request in server.requests()] == [None] * 5


def test_draws_that_differ_in_sampling_never_share_a_call(server: FakeServer, tmp_path: Path) -> None:
    server.reset_stats()
    asked = [one for pair in zip(draws(3, max_tokens=20), draws(3, max_tokens=30), strict=True) for one in pair]
    with dispatching(tmp_path, {"small": model(server)}) as dispatcher:
        dispatcher.ask(asked)
    assert [request["body"].get("n") for request in server.requests()] == [None] * 6


def test_samples_that_a_reply_lacks_are_asked_for_again_and_no_others(tmp_path: Path) -> None:
    def answer(number: int, headers: Message) -> Reply:
        if number == 0:
            return reply([choice(0, "first"), "nonsense", choice(3, "last"), choice(9, "whose?")])
        return reply([choice(0, f"again {number}")])

    asked = draws(4)
    with ScriptedServer(answer, GREETING) as server:
        with dispatching(tmp_path, {"small": model(server)}) as dispatcher:
            answers = dispatcher.ask(asked)
        assert server.posts == 3
    assert [answers[0].text, answers[3].text] == ["first", "last"]
    assert sorted([answers[1].text, answers[2].text]) == ["again 1", "again 2"]
    assert [one.attempts for one in answers] == [1, 2, 2, 1]


def test_a_server_that_takes_no_shared_calls_gets_single_ones(tmp_path: Path) -> None:
    taken: list[int] = []

    class Refusing(ScriptedServer):
        pass

    def answer(number: int, headers: Message) -> Reply:
        if int(headers["content-length"]) > single:
            taken.append(number)
            return 400, {}, error_body("n must be 1")
        return reply([choice(0, "alone")])

    single = len(json.dumps({"model": "small", "prompt": "<user>", "temperature": 1.0}, separators=(",", ":"))) + 2
    asked = draws(40)
    with Refusing(answer, GREETING) as server:
        with dispatching(tmp_path, {"small": model(server, max_concurrency=1)}) as dispatcher:
            answers = dispatcher.ask(asked)
        assert server.posts == 40 + len(taken)
    assert {one.text for one in answers} == {"alone"}
    assert 1 <= len(taken) <= 4


@pytest.mark.parametrize("broken", [b"{", b"[]", b'{"choices": 4}', b"null"])
def test_a_reply_that_cannot_be_read_is_asked_for_again(tmp_path: Path, broken: bytes) -> None:
    def answer(number: int, headers: Message) -> Reply:
        return (200, {}, broken) if number == 0 else reply([choice(0, f"{number}")])

    with ScriptedServer(answer, GREETING) as server:
        with dispatching(tmp_path, {"small": model(server)}) as dispatcher:
            answers = dispatcher.ask(draws(3))
        assert server.posts == 4
    assert {one.text for one in answers} == {"1", "2", "3"}
    assert {one.attempts for one in answers} == {2}


def test_samples_that_broke_off_are_asked_for_again_and_a_call_that_broke_off_whole_has_failed(tmp_path: Path) -> None:
    def answer(number: int, headers: Message) -> Reply:
        broke = {"finish_reason": "error"}
        if number == 0:
            return reply([{**choice(index, "half a"), **broke} for index in range(4)])
        if number == 1:
            return reply([choice(0, "whole"), {**choice(1, "half a"), **broke}])
        return reply([choice(0, f"again {number}")])

    with ScriptedServer(answer, GREETING) as server:
        with dispatching(tmp_path, {"small": model(server)}) as dispatcher:
            first = dispatcher.ask(draws(4))
            assert dispatcher.counters.retried == 4
        posts = server.posts
    with ScriptedServer(lambda number, headers: answer(number + 1, headers), GREETING) as server:
        with dispatching(tmp_path / "other", {"small": model(server)}) as dispatcher:
            second = dispatcher.ask(draws(2))
        assert (posts, server.posts) == (5, 2)
    assert not [one for one in (*first, *second) if one.error or "half" in one.text]
    assert {one.attempts for one in first} == {2}
    assert sorted(one.attempts for one in second) == [1, 2]


def test_a_wrong_key_ends_the_run_from_a_shared_call_too(tmp_path: Path) -> None:
    with (
        ScriptedServer(lambda number, headers: (401, {}, error_body("no")), GREETING) as server,
        dispatching(tmp_path, {"small": model(server)}) as dispatcher,
        pytest.raises(Exception, match="cannot be used"),
    ):
        dispatcher.ask(draws(4))


def test_a_shared_request_says_n_for_one_prompt_and_lists_several() -> None:
    assert shared_request([{"prompt": [1, 2], "top_p": 0.5}] * 3) == {"prompt": [1, 2], "n": 3, "top_p": 0.5}
    assert shared_request([{"prompt": "a"}, {"prompt": "b"}]) == {"prompt": ["a", "b"]}


def test_choices_are_told_apart_by_their_index_and_tokens_by_length() -> None:
    choices = [choice(1, "four times as long, or so"), choice(0, "short")]
    usage = {"prompt_tokens": 5, "completion_tokens": 64}
    (first, second), _ = read_shared(json.dumps({"choices": choices, "usage": usage}).encode(), 2)
    assert first is not None
    assert second is not None
    assert (first.text, first.prompt_tokens + second.prompt_tokens) == ("short", 5)
    assert first.completion_tokens < second.completion_tokens
    assert first.completion_tokens + second.completion_tokens == 64


@given(total=st.integers(0, 10**9), weights=st.lists(st.integers(1, 10**6), min_size=1, max_size=64))
def test_what_is_divided_adds_up(total: int, weights: list[int]) -> None:
    parts = divide(total, weights)
    assert sum(parts) == total
    assert all(abs(part - total * weight / sum(weights)) <= 1 for part, weight in zip(parts, weights, strict=True))


def test_a_shared_call_tells_the_tokens_of_all_its_samples() -> None:
    async def asked(address: str) -> tuple[int, int]:
        endpoint = OpenAIEndpoint.connect(model(address), address)
        reply = await complete_shared(endpoint, [one.request for one in draws(2)])
        await endpoint.close()
        assert [one.text for one in reply.samples if one is not None] == ["a", "bb"]
        return reply.outcome.prompt_tokens, reply.outcome.completion_tokens

    both = reply([choice(0, "a"), choice(1, "bb")], {"prompt_tokens": 7, "completion_tokens": 30})
    with ScriptedServer(lambda number, headers: both, GREETING) as server:
        assert asyncio.run(asked(server.base_url)) == (7, 30)
