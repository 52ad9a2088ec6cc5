"""`check --ping`: which of a good and a bad answer each judge prefers, and a warning where labels are inverted."""

import json
from pathlib import Path
from typing import Any

import pytest

from kasasagi.flows.check.endpoints import check_endpoints
from kasasagi.flows.check.judges import BAD, EXAMPLE, GOOD
from kasasagi.flows.recipe.loading import LoadedRecipe, check_recipe, override, parse_yaml
from kasasagi.tasks.judge.prompt import first_order
from tests.blocks.helpers import Reply, ScriptedServer, answer_body
from tests.fake_server import FakeServer
from tests.fake_server.checklist import fulfils
from tests.flows.test_recipe import TEXT

KNOWN = (200, {}, json.dumps({"data": [{"id": name} for name in ("small", "large", "scorer")]}).encode())
ORDER = first_order("0" * 32, 2)


def pinged(judge: dict[str, Any], model: dict[str, Any], ping: bool = True) -> tuple[list[str], list[str]]:
    """What check says of the judge alone."""
    data = override(parse_yaml(TEXT, "r"), [f"models={json.dumps({'critic': model})}", "respond.models=[critic]"])
    if model["kind"] == "reward":
        data = {**data, "respond": {"models": ["hina"]}, "models": {**data["models"], "hina": {"kind": "bundled"}}}
    recipe = check_recipe({**data, "judge": {"model": "critic", **judge}}, Path())
    logged: list[str] = []
    return check_endpoints(LoadedRecipe(recipe=recipe, base=Path()), ping, logged.append), logged


def reward(address: str, **fields: Any) -> dict[str, Any]:
    return {"kind": "reward", "model": "scorer", "base_url": address.removesuffix("/v1"), **fields}


def probabilities(*good_and_bad: list[float]) -> Any:
    """A classifier's replies to the good and to the bad answer."""

    def reply(number: int, headers: Any) -> Reply:
        return 200, {}, json.dumps({"data": [{"probs": good_and_bad[number]}]}).encode()

    return reply


def test_a_reward_model_shows_which_text_won() -> None:
    with ScriptedServer(probabilities([0.9], [0.2]), KNOWN) as server:
        problems, logged = pinged({"method": "reward"}, reward(server.base_url))
    assert problems == []
    assert logged[1] == (
        "  critic prefers the good one of two answers: 0.9 for 'The capital of Japan is Tokyo.', "
        "0.2 for 'The capital of Japan is Berlin.'"
    )
    assert server.posts == 2


def test_inverted_labels_are_said_in_one_sentence() -> None:
    inverted = probabilities([0.1, 0.9], [0.8, 0.2])
    with ScriptedServer(inverted, KNOWN) as server:
        problems, logged = pinged({"method": "reward"}, reward(server.base_url, number="data.0.probs.0"))
    assert problems == []
    assert logged[1] == (
        "warning: models.critic: prefers the bad one of two plain answers (0.1 for 'The capital of Japan is Tokyo.', "
        "0.8 for 'The capital of Japan is Berlin.'), so its pairs may mean the opposite; "
        "set number to the label that means a good answer, or judge with another model"
    )
    with ScriptedServer(inverted, KNOWN) as server:
        _, logged = pinged({"method": "reward"}, reward(server.base_url, number="data.0.probs.1"))
    assert "prefers the good one" in logged[1]


def test_several_labels_stay_a_problem_and_plain_check_asks_nobody() -> None:
    with ScriptedServer(probabilities([0.1, 0.9]), KNOWN) as server:
        problems, _ = pinged({"method": "reward"}, reward(server.base_url))
        assert server.posts == 1
        pinged({"method": "reward"}, reward(server.base_url), ping=False)
        assert server.posts == 1
    assert problems[0].startswith("models.critic: a first request gave several_numbers")


def sections(good: int, bad: int) -> str:
    return "\n".join(
        f"#### Output for Text {place}\nRationale: so.\nRating: {(good, bad)[index]}"
        for place, index in enumerate(ORDER, start=1)
    )


GOOD_PLACE = ORDER.index(0) + 1
WORDS = [
    ({}, sections(5, 1), "prefers the good one of two answers: 5 for"),
    ({}, sections(1, 4), "prefers the bad one of two plain answers (1 for"),
    ({}, sections(3, 3), "sees no difference between a good and a bad answer (3 for"),
    ({}, "Both are fine.", "its verdict on a plain example cannot be read ("),
    (
        {"method": "pairwise"},
        f"Rationale: so.\nBetter: Text {GOOD_PLACE}",
        "prefers the good one of two answers: 1 for",
    ),
    ({"method": "pairwise"}, f"Rationale: so.\nBetter: Text {3 - GOOD_PLACE}", "prefers the bad one"),
    (
        {"method": "rubric", "rubric": {"text": "Be right about {{ topic }}.", "highest": 10}},
        sections(9, 2),
        "prefers the good one of two answers: 9 for",
    ),
    (
        {"prompt": {"text": "Who is right? {{ instruction }} {{ responses }}"}},
        sections(1, 2),
        "prefers the bad one of two plain answers",
    ),
]


@pytest.mark.parametrize(("judge", "reply", "words"), WORDS)
def test_a_judge_in_words_shows_which_text_won(judge: dict[str, Any], reply: str, words: str) -> None:
    with ScriptedServer(lambda number, headers: (200, {}, answer_body(reply)), KNOWN) as server:
        problems, logged = pinged(judge, {"kind": "openai", "model": "large", "base_url": server.base_url})
    assert problems == []
    assert words in logged[1]
    assert logged[1].startswith("  critic" if "good one" in words else "warning: models.critic: ")
    assert server.posts == 1


def test_the_bundled_model_prefers_the_good_one() -> None:
    for language in ("en", "ja"):
        _, logged = pinged({"language": language}, {"kind": "bundled"})
        assert logged[0] == "critic: the bundled model"
        assert logged[1].startswith("  critic prefers the good one of two answers: ")
    assert pinged({}, {"kind": "bundled"}, ping=False)[1] == ["critic: the bundled model"]


def test_a_judge_is_asked_as_in_a_run() -> None:
    with FakeServer(models=("large",)) as server:
        model = {"kind": "openai", "model": "large", "base_url": server.base_url, "extra_body": {"top_k": 3}}
        pinged({"sampling": {"temperature": 0.5}}, model)
        [request] = server.requests()
    body = request["body"]
    assert (body["temperature"], body["top_k"], body["max_tokens"]) == (0.5, 3, 1024)
    assert all(text in body["messages"][-1]["content"] for text in (EXAMPLE["en"], GOOD["en"], BAD["en"]))


@pytest.mark.parametrize("read", ["text", "distribution"])
def test_a_checklist_is_tried_with_an_item_about_the_example(read: str) -> None:
    with FakeServer(models=("large",)) as server:
        model = {"kind": "openai", "model": "large", "base_url": server.base_url}
        problems, logged = pinged({"method": "checklist", "read": read}, model)
        requests = [one["body"]["messages"][-1]["content"] for one in server.requests()]
    assert problems == []
    assert all("Is what the text says right?" in one for one in requests)
    ratings = [10.0 * fulfils("Is what the text says right?", text) for text in (GOOD["en"], BAD["en"])]
    assert f"{ratings[0]:g} for '{GOOD['en']}', {ratings[1]:g} for '{BAD['en']}'" in logged[1]


@pytest.mark.parametrize(
    ("logprobs", "warned"), [("given", False), ("five", False), ("ignored", True), ("refused", True)]
)
def test_a_judge_without_log_probabilities_is_named(logprobs: str, warned: bool) -> None:
    with FakeServer(models=("large",), logprobs=logprobs) as server:
        model = {"kind": "openai", "model": "large", "base_url": server.base_url}
        problems, logged = pinged({"read": "distribution"}, model)
    assert problems == []
    assert any("gives no log probabilities, so its ratings are read from the text" in line for line in logged) == warned
