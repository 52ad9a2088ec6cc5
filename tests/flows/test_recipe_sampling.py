"""Sampling that a recipe changes in part keeps the rest of a stage's defaults; null takes one away."""

from pathlib import Path
from typing import Any

import pytest

from kasasagi.flows.recipe.loading import check_recipe, override, parse_yaml
from kasasagi.tasks.recipe import Recipe
from tests.flows.test_recipe import TEXT

STAGES = {
    "judge.sampling": {"temperature": 0.0, "max_tokens": 1024},
    "tags.sampling": {"temperature": 0.0, "max_tokens": 256},
    "rewrite.sampling": {"temperature": 0.7, "max_tokens": 1024},
}
MORE = ("tags={model: small, kinds: [quality]}", "rewrite={model: small, methods: [deeper]}")


def recipe(*settings: str) -> Recipe:
    return check_recipe(override(parse_yaml(TEXT, "r"), [*MORE, *settings]), Path())


def sampling(found: Recipe, place: str) -> dict[str, Any]:
    stage = getattr(found, place.partition(".")[0])
    return dict(stage.sampling.parameters())


@pytest.mark.parametrize("place", STAGES)
def test_a_part_of_the_sampling_keeps_the_rest_of_the_defaults(place: str) -> None:
    defaults = STAGES[place]
    assert sampling(recipe(), place) == defaults
    assert sampling(recipe(f"{place}.top_p=0.5"), place) == {**defaults, "top_p": 0.5}
    assert sampling(recipe(f"{place}.temperature=0.3"), place) == {**defaults, "temperature": 0.3}
    assert "max_tokens" not in sampling(recipe(f"{place}.max_tokens=null"), place)


def test_what_a_run_keeps_of_its_recipe_reads_the_same(tmp_path: Path) -> None:
    first = recipe("judge.sampling.temperature=null", "tags.sampling.max_tokens=9")
    assert check_recipe(first.plain(), tmp_path) == first


def test_a_magpie_source_keeps_its_stop_unless_an_instruction_has_several_lines() -> None:
    magpie = "source={kind: magpie, model: small, template: chatml, target: 5, sampling: {temperature: 0.8}}"
    found = recipe(magpie)
    assert found.source.kind == "magpie"
    wanted = {"temperature": 0.8, "top_p": 1.0, "max_tokens": 1024}
    assert found.source.sampling.parameters() == {**wanted, "stop": ("\n\n",)}
    several = recipe(magpie, "source.multi_line=true")
    assert several.source.kind == "magpie"
    assert several.source.sampling.parameters() == wanted
    assert check_recipe(several.plain(), Path()) == several
