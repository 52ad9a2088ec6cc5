"""What `kasasagi init` writes: the essential keys, which the reference lists first, or with --full every key."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kasasagi.flows.cli.app import app
from kasasagi.flows.recipe.documents.reference import fields_at, reference
from kasasagi.flows.recipe.documents.template import essentials
from kasasagi.flows.recipe.loading import load_recipe
from kasasagi.tasks.recipe import Recipe

FEW = 30


def written(folder: Path, *options: str) -> Path:
    result = CliRunner().invoke(app, ["init", str(folder / "recipe.yaml"), *options])
    assert result.exit_code == 0, result.output
    return folder / "recipe.yaml"


def test_essential_keys_are_few_and_stand_first_in_the_reference_with_an_example() -> None:
    found = essentials()
    assert {"name", "source.path", "source.target", "models.NAME.model", "judge.model", "budget.usd"} <= found.keys()
    assert len(found) <= FEW
    first = reference().partition("## All keys")[0]
    assert re.findall(r"^\| `([\w.]+)` \| `.+` \| .+ \|$", first, re.MULTILINE) == list(found)


@pytest.mark.parametrize("path", essentials())
def test_an_essential_key_is_a_key_of_the_recipe_with_a_description(path: str) -> None:
    for field in fields_at(path, Recipe.model_json_schema()):
        assert field["description"]


def test_a_key_that_no_recipe_has_is_not_found() -> None:
    with pytest.raises(KeyError):
        fields_at("judge.modle", Recipe.model_json_schema())


def test_the_full_recipe_says_the_same_and_lists_every_key(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    full = written(tmp_path / "full", "--full")
    assert load_recipe(str(full)).recipe == load_recipe(str(written(tmp_path))).recipe
    parts: dict[str, set[str]] = {}
    for part in full.read_text(encoding="utf-8").split("\n# -- ")[1:]:
        path = re.split(r",? (?:further|of kind)|:|\n", part)[0]
        parts.setdefault(path, set()).update(re.findall(r"^# (\w+): ", part, re.MULTILINE))
    for model in Recipe.model_json_schema()["$defs"].values():
        keys = model.get("properties", {}).keys()
        assert any(keys <= listed for listed in parts.values()), model["title"]


def test_full_and_a_shipped_recipe_exclude_each_other(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["init", str(tmp_path / "recipe.yaml"), "--full", "--from", "quickstart"])
    assert "exclude each other" in str(result.exception)
    assert not (tmp_path / "recipe.yaml").exists()


OLD_NAMES = ["pair", "publish", "rejudge", "approve", "label", "argilla", "batches", "ui"]


def test_commands_are_listed_in_groups_and_answer_to_their_old_names() -> None:
    listed = CliRunner().invoke(app, ["--help"]).output
    assert not [name for name in OLD_NAMES if re.search(rf"^\W+{name} ", listed, re.MULTILINE)]
    for name in OLD_NAMES:
        assert CliRunner().invoke(app, [name, "--help"]).exit_code == 0
