"""Samples of one chat prompt in one call: the prompt is paid once, each sample keeps its entry and its own end."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from kasasagi.blocks.dispatch.dispatcher import Dispatcher
from kasasagi.blocks.dispatch.pending_requests import Question
from kasasagi.blocks.models.kinds import Budget
from kasasagi.tasks.respond.answers import questions_for
from kasasagi.tasks.respond.config import RespondConfig
from tests.blocks.helpers import Reply, ScriptedServer, dispatching, error_body, kept, model, question
from tests.fake_server import FakeServer
from tests.tasks.helpers import prompt, session

GREETINGS = {
    owner: (200, {}, json.dumps({"data": [{"id": "small", "owned_by": owner}]}).encode()) for owner in ("vllm", "me")
}
PRICE = {"input": 1e6, "output": 0}


@pytest.fixture(scope="module")
def vllm() -> Iterator[FakeServer]:
    with FakeServer(models=("small",), owned_by="vllm") as running:
        yield running


def samples(count: int, text: str = "Why?", **fields: Any) -> list[Question]:
    return [question(text, draw=number, **{"temperature": 0.8, **fields}) for number in range(count)]


def choice(index: int, text: str, **fields: Any) -> dict[str, Any]:
    return {"index": index, "message": {"content": text}, "finish_reason": "stop", **fields}


def reply(choices: Sequence[Any], prompt_tokens: int = 0, completion_tokens: int = 0) -> Reply:
    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens}
    return 200, {}, json.dumps({"choices": list(choices), "usage": usage}).encode()


def scripted(answer: Callable[[int], Reply], owner: str = "vllm") -> ScriptedServer:
    def by_number(number: int, headers: Message) -> Reply:
        return answer(number)

    return ScriptedServer(by_number, GREETINGS[owner])


def numbers(server: ScriptedServer) -> list[int]:
    """How many samples each call asked for."""
    return [json.loads(body).get("n", 1) for body in server.bodies]


def test_samples_of_one_prompt_are_one_call_and_pay_for_the_prompt_once(vllm: FakeServer, tmp_path: Path) -> None:
    vllm.reset_stats()
    asked = [*samples(5), *samples(3, "How?")]
    with dispatching(tmp_path, {"small": model(vllm, usd_per_million_tokens=PRICE)}) as dispatcher:
        answers = dispatcher.ask(asked)
        counters = dispatcher.counters
    sent = {body["messages"][0]["content"]: body["n"] for body in (one["body"] for one in vllm.requests())}
    assert sent == {"Why?": 5, "How?": 3}
    served = vllm.stats()["by_model"]["small"]
    assert len({answer.text for answer in answers}) == len(kept(tmp_path, asked)) == 8
    assert sum(answer.prompt_tokens for answer in answers) == served["prompt_tokens"] == counters.prompt_tokens
    assert counters.cost_usd == pytest.approx(served["prompt_tokens"])
    assert sum(answer.completion_tokens for answer in answers) == served["completion_tokens"]


def test_samples_that_share_a_prefix_share_calls_with_no_other_prompt(tmp_path: Path) -> None:
    def echoing(number: int, headers: Message) -> Reply:
        asked = json.loads(server.bodies[-1])
        text = asked["messages"][0]["content"]
        return reply([choice(place, f"{text} {place}") for place in range(asked.get("n", 1))])

    texts = [f"Question {number}?" for number in range(12)]
    asked = [replace(one, prefix=text) for text in texts for one in samples(3, text)]
    with ScriptedServer(echoing, GREETINGS["vllm"]) as server:
        small = model(server, max_concurrency=1, samples_per_call=2)
        with dispatching(tmp_path, {"small": small}) as dispatcher:
            answers = dispatcher.ask(asked)
    for one, answer in zip(asked, answers, strict=True):
        assert answer.text is not None
        assert answer.text.startswith(one.prefix), answer.error
    assert sorted(numbers(server)) == [1] * 12 + [2] * 12


@pytest.mark.parametrize(
    ("fields", "model_fields", "owner", "sent"),
    [
        ({}, {}, "vllm", [6]),
        ({}, {"samples_per_call": 4}, "vllm", [2, 4]),
        ({}, {"samples_per_call": 1}, "vllm", [1] * 6),
        ({"seed": 3}, {}, "vllm", [1] * 6),
        ({"temperature": 0}, {}, "vllm", [1] * 6),
        ({}, {}, "me", [1] * 6),
        ({}, {"samples_per_call": 6}, "me", [6]),
    ],
)
def test_who_shares_calls(
    tmp_path: Path, fields: dict[str, Any], model_fields: dict[str, Any], owner: str, sent: list[int]
) -> None:
    with scripted(lambda number: reply([choice(index, f"{number} {index}") for index in range(6)]), owner) as server:
        with dispatching(tmp_path, {"small": model(server.base_url, **model_fields)}) as dispatcher:
            dispatcher.ask(samples(6, **fields))
        assert sorted(numbers(server)) == sent


def test_openai_is_known_by_its_address() -> None:
    assert model("https://api.openai.com/v1").most_samples("https://api.openai.com/v1") > 1
    assert model("https://openrouter.ai/api/v1").most_samples("https://openrouter.ai/api/v1") == 1


def test_each_sample_has_its_own_end(tmp_path: Path) -> None:
    choices = [
        choice(0, "whole", message={"content": "whole", "reasoning": "I think"}),
        choice(1, "cut", finish_reason="length"),
        choice(2, ""),
        {"index": 3, "message": {"content": None, "refusal": "no"}, "finish_reason": "stop"},
        choice(4, "half a", finish_reason="error"),
    ]

    def answer(number: int) -> Reply:
        return reply([choice(0, "again")], 10, 5) if number else reply(choices, 10, 50)

    with scripted(answer) as server:
        with dispatching(tmp_path, {"small": model(server.base_url)}) as dispatcher:
            answers = dispatcher.ask(samples(5))
        assert numbers(server) == [5, 1], "only what broke off is asked again"
    assert [one.text for one in answers] == ["whole", "cut", "", "", "again"]
    assert [one.finish_reason for one in answers] == ["stop", "length", "stop", None, "stop"]
    assert [one.error for one in answers] == [None, None, None, "refusal", None]
    assert answers[0].reasoning == "I think"
    assert (sum(one.prompt_tokens for one in answers), sum(one.completion_tokens for one in answers)) == (20, 55)
    assert len(kept(tmp_path, samples(5))) == 5


def test_a_server_that_ignores_n_is_noticed_by_its_first_reply(tmp_path: Path) -> None:
    asked = [one for text in "abc" for one in samples(4, text)]
    logged: list[str] = []
    with scripted(lambda number: reply([choice(0, f"{number}")], 10, 5)) as server:
        with dispatching(tmp_path, {"small": model(server.base_url, max_concurrency=1)}) as dispatcher:
            dispatcher.log = logged.append
            answers = dispatcher.ask(asked)
        assert numbers(server) == [4, *[1] * 11], "the sample that came is kept"
    assert len({one.text for one in answers}) == 12
    assert sum(one.prompt_tokens for one in answers) == 120
    assert [line for line in logged if "whatever n is" in line] == logged


def test_a_server_that_refuses_n_gets_single_calls(tmp_path: Path) -> None:
    refused: list[int] = []

    def answer(number: int) -> Reply:
        if numbers(server)[-1] > 1:
            refused.append(number)
            return 400, {}, error_body("Unsupported value: 'n' does not support 2 with this model.")
        return reply([choice(0, f"{number}")], 10, 5)

    asked = [one for text in "abcdef" for one in samples(2, text)]
    with scripted(answer) as server:
        with dispatching(tmp_path, {"small": model(server.base_url, max_concurrency=1)}) as dispatcher:
            answers = dispatcher.ask(asked)
        assert sorted(set(numbers(server))) == [1, 2]
    assert not [one for one in answers if one.error]
    assert len(refused) == 3


def test_prompts_that_are_too_long_do_not_end_sharing(tmp_path: Path) -> None:
    def answer(number: int) -> Reply:
        body = json.loads(server.bodies[-1])
        if body["messages"][0]["content"].startswith("long"):
            return 400, {}, error_body("Too long.", "context_length_exceeded")
        return reply([choice(index, f"{number} {index}") for index in range(2)])

    asked = [one for text in ("long 1", "long 2", "long 3", "long 4", "short") for one in samples(2, text)]
    with scripted(answer) as server:
        with dispatching(tmp_path, {"small": model(server.base_url, max_concurrency=1)}) as dispatcher:
            answers = dispatcher.ask(asked)
            dispatcher.ask(samples(2, "later"))
        assert numbers(server)[-1] == 2
    assert [one.error for one in answers] == ["context_too_long"] * 8 + [None] * 2


def test_a_budget_counts_each_sample_and_the_tokens_of_the_prompt_once(tmp_path: Path) -> None:
    both = reply([choice(0, "a" * 40), choice(1, "b" * 40)], 100, 20)
    with scripted(lambda number: both) as server:
        dispatcher = Dispatcher({"small": model(server.base_url)}, {}, tmp_path, Budget(tokens=240, calls=4))
        try:
            dispatcher.ask(samples(2, "a", max_tokens=10))
            dispatcher.ask(samples(2, "b", max_tokens=10))
            with pytest.raises(Exception, match=r"calls are spent|tokens are spent"):
                dispatcher.ask(samples(1, "c", max_tokens=10))
        finally:
            dispatcher.close()
        assert numbers(server) == [2, 2]


def test_the_answers_that_a_recipe_asks_for_share_calls_by_prompt_and_model(vllm: FakeServer, tmp_path: Path) -> None:
    vllm.reset_stats()
    models = {label: model(vllm, identity=label) for label in ("one", "two")}
    config = RespondConfig.model_validate({"models": ["one", "two"], "samples": 3})
    asked = questions_for(session(tmp_path, models), config, [prompt(text) for text in ("Why?", "How?")])
    with dispatching(tmp_path / "ledger", models) as dispatcher:
        dispatcher.ask([one.question for one in asked])
    sent = [(body["messages"][0]["content"], body["n"]) for body in (one["body"] for one in vllm.requests())]
    assert sorted(sent) == [("How?", 3), ("How?", 3), ("Why?", 3), ("Why?", 3)]
