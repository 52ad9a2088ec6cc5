"""What a recipe may say about tags, comparison by meaning, quotas and rewriting, and how its problems are reported."""

from pathlib import Path

import pytest

from kasasagi.flows.check.endpoints import example_requests
from kasasagi.flows.recipe.errors import RecipeError
from kasasagi.flows.recipe.loading import LoadedRecipe, check_recipe, override, parse_yaml
from kasasagi.tasks.filter.deferred_conditions import split_where
from kasasagi.tasks.recipe import Recipe
from tests.flows.test_recipe import TEXT

TAGS = "tags={model: large}"
SEMANTIC = "semantic={model: small}"
HARD = "filter.where={hard: \"difficulty = 'hard'\"}"


def recipe(*settings: str) -> Recipe:
    return check_recipe(override(parse_yaml(TEXT, "r"), settings), Path())


def problem(*settings: str) -> str:
    with pytest.raises(RecipeError) as raised:
        recipe(*settings)
    return str(raised.value)


def test_without_these_stages_a_recipe_is_what_it_was() -> None:
    plain = recipe()
    assert not plain.is_refined
    assert not {"tags", "semantic", "select", "rewrite"} & set(plain.plain())


def test_conditions_may_ask_for_tags_only_where_there_are_some() -> None:
    assert recipe(TAGS, HARD).is_refined
    assert "hard" in problem(HARD)
    assert "difficulty" in problem("tags={model: large, kinds: [quality]}", HARD)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (["tags={model: lagre}"], "tags.model: 'lagre' is not a model of this recipe; did you mean 'large'?"),
        (["semantic={model: x}"], "semantic.model: 'x' is not a model"),
        (["models.own={kind: bundled}", "semantic={model: own}"], "semantic.model: 'own' is bundled, and only"),
        (["rewrite={model: x}"], "rewrite.model: 'x' is not a model"),
        (["rewrite={model: large, methods: [deepr]}"], "'deepr' is not allowed; did you mean 'deeper'?"),
        (["tags={model: large, kinds: [quality, quality]}"], "'quality' appears twice"),
        (["select={per: category, limit: 5}"], "select.per: 'category' is not a column of the prompts"),
        ([TAGS, "select={per: categry, limit: 5}"], "did you mean 'category'?"),
        ([TAGS, "select={limit: 5, order_by: quality down}"], "'quality down' is not a column of the prompts"),
        (
            ["source.keep=[topic, Category]", TAGS],
            "tags: 'category' is a column of the prompts already; set tags.prefix",
        ),
        (["source.keep=[topic, neighbor_id]", SEMANTIC], "semantic: 'neighbor_id' is a column of the prompts already"),
        (["source.keep=[topic, rewrite]", "rewrite={model: large}"], "rewrite: 'rewrite' is a column of the prompts"),
    ],
)
def test_a_problem_is_a_sentence_with_its_place_and_remedy(settings: list[str], says: str) -> None:
    assert says in problem(*settings)


MAGPIE = "source={kind: magpie, model: large, template: chatml, target: 100, languages: [en, ja]}"
SAMPLES = "source={kind: magpie, model: large, template: chatml, samples: 100}"


@pytest.mark.parametrize(
    ("settings", "most"),
    [
        ([MAGPIE, "select={limit: 99}"], "with 99 at most 99 prompts pass"),
        ([MAGPIE, TAGS, "select={per: category, limit: 8}"], "with 8 for each category at most 96 prompts"),
        (
            [MAGPIE, "select={per: [wanted_language, top_p], limit: 9}", "source.grid={top_p: [0.9, 0.95, 1, 1]}"],
            "with 9 for each wanted_language and top_p at most 54 prompts",
        ),
    ],
)
def test_quotas_that_leave_no_room_for_the_target_are_said_before_anything_is_drawn(
    settings: list[str], most: str
) -> None:
    sentence = problem(*settings)
    assert most in sentence
    assert "source.target is 100: raise the limit, lower the target" in sentence


@pytest.mark.parametrize(
    "settings",
    [
        [MAGPIE, "select={limit: 100}"],
        [MAGPIE, TAGS, "select={per: category, limit: 9}"],
        [MAGPIE, TAGS, "select={per: [category, source], limit: 1}"],
        [SAMPLES, "select={limit: 1}"],
        ["select={limit: 1}"],
    ],
)
def test_quotas_that_may_leave_room_are_nobodys_fault(settings: list[str]) -> None:
    assert recipe(*settings).select is not None


def test_a_prefix_keeps_tags_apart_from_columns_of_the_source() -> None:
    settings = [
        "source.keep=[topic, category]",
        "tags={model: large, prefix: tag_}",
        "select={per: tag_category, limit: 1}",
    ]
    assert recipe(*settings).tag_columns[0] == "tag_category"


def test_conditions_are_asked_as_soon_as_their_columns_are_there() -> None:
    where = {
        "long": "length(instruction) > 3",
        "hard": "difficulty = 'hard' AND length(instruction) > 3",
        "apart": "neighbor_distance > 0.1 OR Difficulty = 'easy'",
        "word": "instruction NOT LIKE '%difficulty%'",
    }
    parts = split_where(where, [("difficulty",), ("neighbor_distance",)])
    assert [list(part) for part in parts] == [["long", "word"], ["hard"], ["apart"]]
    assert [list(part) for part in split_where(where, [(), ()])] == [list(where), [], []]


def test_check_shows_what_the_models_of_these_stages_are_asked() -> None:
    shown = dict(example_requests(LoadedRecipe(recipe=recipe(TAGS, "rewrite={model: small}"), base=Path())))
    assert "What is the capital of Japan?" in shown["large tags"]
    assert "<request>" in shown["small rewrites"]
