"""Every value that a recipe may not hold is refused in words of ours, whatever stands there."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kasasagi.flows.recipe.errors import RecipeError
from kasasagi.flows.recipe.loading import check_recipe, override, parse_yaml
from tests.flows.test_recipe import TEXT

GARBAGE: tuple[Any, ...] = (None, "", "x", 0, -1, 1.5, 10**9, True, [], [None], {}, {"x": 1}, {1: 2}, float("nan"))
FURTHER = (
    "source.turns={count: 2}",
    "filter.where={a: 'true'}",
    "respond.sampling={temperature: 1}",
    "judge.samples=2",
    "pairs.max_tokens={tokenizer: t, total: 3}",
    "publish={split: {test: 0.1}, hub: {repo: a/b}}",
    "budget={usd: 1}",
)
MAGPIE = "kind: magpie, model: small, target: 4"
OF_PYDANTIC = ("input should", "valid dictionary", "instance of", "after validation", "should have at", "should match")


def places(data: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    entries = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for name, value in entries:
        yield (*place, name)
        yield from places(value, (*place, name))


def put(data: Any, place: tuple[Any, ...], value: Any) -> Any:
    if not place:
        return value
    entries = dict(data.items() if isinstance(data, dict) else enumerate(data))
    entries[place[0]] = put(entries[place[0]], place[1:], value)
    return entries if isinstance(data, dict) else list(entries.values())


def refusal(data: Any) -> list[str]:
    try:
        check_recipe(data, Path())
    except RecipeError as error:
        return str(error).splitlines()
    return []


def test_garbage_at_any_place_is_refused_in_our_words() -> None:
    whole = override(parse_yaml(TEXT, "recipe.yaml"), FURTHER)
    refusals = {(place, repr(value)): refusal(put(whole, place, value)) for place in places(whole) for value in GARBAGE}
    assert sum(map(bool, refusals.values())) > 300
    said = [sentence for sentences in refusals.values() for sentence in sentences]
    assert [sentence for sentence in said if any(words in sentence.lower() for words in OF_PYDANTIC)] == []
    assert [sentence for sentence in said if ": " not in sentence] == []


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("models={}", "models: {} is empty; write at least one entry"),
        ("judge=[]", "judge: [] is not a mapping; write its keys with their values"),
        (
            f"source={{{MAGPIE}, turns: x}}",
            "source.turns: 'x' is neither a whole number nor a mapping; write one of these",
        ),
        (f"source={{{MAGPIE}, turns: 17}}", "source.turns: 17 is too large; write 16 or less"),
        ("name=-a", "name: '-a' does not have the right form; write up to 64 letters, digits, points, - and _, the "),
        ("publish.split={test: 1}", "publish.split.test: 1 is too large; write a number below 1"),
        ("respond.models=small", "respond.models: 'small' is not a list; write it in brackets, such as [a, b]"),
    ],
)
def test_a_refusal_names_place_value_reason_and_remedy(setting: str, sentence: str) -> None:
    (said,) = refusal(override(parse_yaml(TEXT, "recipe.yaml"), [setting]))
    assert said.startswith(sentence)
