"""Rows from Python in the place of a recipe's source."""

from pathlib import Path
from typing import Any

import pytest

from kasasagi.blocks.workspace.runs import Workspace
from kasasagi.flows.errors import UsageError
from kasasagi.flows.recipe.errors import RecipeError
from kasasagi.flows.recipe.loading import LoadedRecipe, check_recipe, override, parse_yaml
from kasasagi.flows.recipe.python_rows import source_of
from kasasagi.flows.runner import run_recipe
from kasasagi.tasks.load import load_prompts
from kasasagi.tasks.recipe import Recipe
from tests.flows.test_recipe import TEXT

ROWS = [{"instruction": "Why do rivers bend?", "topic": "water"}, {"instruction": "Name a stone.", "topic": "rock"}]


def with_rows(folder: Path, rows: Any, *settings: str) -> Recipe:
    plain = override(parse_yaml(TEXT, "recipe.yaml"), settings)
    loaded = LoadedRecipe(recipe=check_recipe(plain, folder), base=folder)
    return check_recipe(override(plain, [source_of(rows, loaded, Workspace(folder / "ws"))]), folder)


def test_rows_are_read_with_what_the_recipe_says_of_its_columns(tmp_path: Path) -> None:
    recipe = with_rows(tmp_path, iter(ROWS))
    assert recipe.kept_columns == ("topic",)
    assert load_prompts(recipe.source, tmp_path, tmp_path / "out").rows_out == 2


def test_what_belongs_to_the_file_alone_does_not_stay(tmp_path: Path) -> None:
    recipe = with_rows(tmp_path, ROWS, "source.path=p.csv", "source.encoding=cp932", "source.limit=1")
    assert recipe.source.encoding is None
    assert recipe.source.limit == 1


@pytest.mark.parametrize("column", ["question", "instruction"])
def test_rows_may_have_our_column_names_or_the_recipes(tmp_path: Path, column: str) -> None:
    rows = [{column: "Why do rivers bend?"}, {column: "Name a stone."}]
    recipe = with_rows(tmp_path, rows, "source.columns={instruction: question}", "source.keep=[topic]")
    assert load_prompts(recipe.source, tmp_path, tmp_path / "out").rows_out == 2
    assert recipe.kept_columns == ()


def test_equal_rows_are_one_source(tmp_path: Path) -> None:
    assert with_rows(tmp_path, ROWS).source == with_rows(tmp_path, list(ROWS)).source
    assert with_rows(tmp_path, ROWS).source != with_rows(tmp_path, ROWS[:1]).source


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (["Why?"], r"rows\[0\] is of the type str"),
        ([{"instruction": object()}], r"rows\[0\] cannot be written as JSON"),
    ],
)
def test_what_is_no_row_is_refused_by_its_place(tmp_path: Path, rows: Any, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        with_rows(tmp_path, rows)


def test_a_run_takes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    async def call(*arguments: Any) -> str:
        asked.append(arguments)
        raise RecipeError("asked")

    monkeypatch.setattr("kasasagi.flows.runner._call", call)
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    with pytest.raises(RecipeError, match="asked"):
        run_recipe("quickstart", rows=ROWS, workspace=tmp_path / "ws")
    [(_, [setting], limit, _)] = asked
    assert limit is None
    assert setting.startswith('source={"kind":"dataset","path":')
