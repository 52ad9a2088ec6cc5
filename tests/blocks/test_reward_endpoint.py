"""Reward models: what is sent to each endpoint, and which replies are a number."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from kasasagi.blocks.endpoints.reward import endpoint_of, read_number
from kasasagi.blocks.models.kinds import RewardModel
from kasasagi.blocks.models.llm import Completion
from tests.fake_server import FakeServer
from tests.fake_server.judge import text_rating

MESSAGES = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "What is a magpie?"},
    {"role": "assistant", "content": "A bird."},
]
OWN = {"path": "/rate", "send": {"question": "prompt", "answer": "response"}, "number": "result.quality"}


@pytest.fixture(scope="module")
def server() -> Iterator[FakeServer]:
    with FakeServer() as running:
        yield running


def reward(**fields: Any) -> RewardModel:
    return RewardModel.model_validate(
        {"kind": "reward", "model": "scorer", "base_url": "http://127.0.0.1:1", "max_retries": 0, **fields}
    )


def asked(model: RewardModel) -> Completion:
    async def once() -> Completion:
        endpoint = endpoint_of(model, model.addresses[0])
        try:
            return await endpoint.complete({"messages": MESSAGES})
        finally:
            await endpoint.close()

    return asyncio.run(once())


@pytest.mark.parametrize(
    ("fields", "sent"),
    [
        ({}, {"model": "scorer", "messages": MESSAGES, "use_activation": False}),
        (
            {"path": "/score"},
            {"model": "scorer", "text_1": "Be brief.\nWhat is a magpie?", "text_2": "A bird.", "use_activation": False},
        ),
        (OWN, {"question": "Be brief.\nWhat is a magpie?", "answer": "A bird.", "use_activation": False}),
    ],
)
def test_each_endpoint_is_sent_what_it_takes_and_gives_its_number(
    server: FakeServer, fields: dict[str, Any], sent: dict[str, Any]
) -> None:
    address = server.base_url.removesuffix("/v1")
    completion = asked(reward(base_url=address, extra_body={"use_activation": False}, **fields))
    assert completion.error is None, completion.detail
    assert float(completion.text) == text_rating("A bird.") - 0.5
    assert completion.prompt_tokens > 0
    assert server.requests()[-1]["body"] == sent


@pytest.mark.parametrize(
    ("body", "place", "wanted"),
    [
        (b'{"data": [{"score": -1.25}]}', "data.0.score", "-1.25"),
        (b'[{"score": 3}]', "0.score", "3"),
        (b'{"score": 1e-3}', "score", "0.001"),
    ],
)
def test_a_number_is_read_where_it_stands(body: bytes, place: str, wanted: str) -> None:
    completion = read_number(body, place)
    assert (completion.text, completion.error) == (wanted, None)


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b'{"score": "5"}', "score"),
        (b'{"score": true}', "score"),
        (b'{"score": null}', "score"),
        (b'{"score": [5]}', "score"),
        (b'{"scores": 5}', "score"),
        (b'{"data": []}', "data.0.score"),
        (b"5", "score"),
    ],
)
def test_what_is_no_number_is_never_made_one(body: bytes, place: str) -> None:
    completion = read_number(body, place)
    assert (completion.error, completion.transient) == ("no_number", False)


def test_a_body_that_is_cut_may_pass() -> None:
    assert read_number(b'{"score": 5', "score").transient


def test_an_endpoint_that_is_not_known_must_be_described() -> None:
    with pytest.raises(ValidationError, match="set send"):
        reward(path="/rate")
    with pytest.raises(ValidationError, match="batch"):
        reward(batch=True)


def test_the_ledger_tells_apart_what_is_sent_and_read_but_no_address() -> None:
    assert reward().ledger_identity() == reward(base_url="http://10.0.0.1:9").ledger_identity()
    names = {
        reward(**fields).ledger_identity() for fields in ({}, {"path": "/score"}, OWN, {"number": "data.0.probs.1"})
    }
    assert len(names) == 4


@pytest.mark.parametrize("body", [b'{"data": [{"probs": [0.1, 0.9]}]}', b'{"data": [{"probs": [0.1, 0.2, 0.7]}]}'])
def test_several_probabilities_are_refused_unless_the_recipe_says_which(body: bytes) -> None:
    model = reward()
    refused = read_number(body, model.number_path, alone=model.expects_one)
    assert (refused.error, refused.fatal) == ("several_numbers", True)
    assert "number: data.0.probs." in str(refused.detail)
    configured = reward(number="data.0.probs.1")
    assert read_number(body, configured.number_path, alone=configured.expects_one).text in ("0.9", "0.2")
    lone = read_number(b'{"data": [{"probs": [0.7]}]}', model.number_path, alone=model.expects_one)
    assert lone.text == "0.7"
