"""`kasasagi init --from`: a shipped recipe is copied with what it reads, and runs from there; which recipe is meant."""

from pathlib import Path

import pytest

from kasasagi.flows.cli.options import recipe_or_default
from kasasagi.flows.errors import UsageError
from kasasagi.flows.recipe.documents.copying import write_recipe
from kasasagi.flows.recipe.loading import load_recipe, shipped_recipes


@pytest.mark.parametrize("name", sorted(shipped_recipes()))
def test_a_copy_of_a_shipped_recipe_is_the_same_recipe(tmp_path: Path, name: str) -> None:
    mine = tmp_path / "mine.yaml"
    assert write_recipe(mine, name)[0] == mine
    assert load_recipe(str(mine)).recipe == load_recipe(name).recipe
    text = mine.read_text(encoding="utf-8")
    assert f"kasasagi {'run' if name != 'two-models-one-judge' else 'check'} {mine}" in text
    assert f"run {name}" not in text


def test_what_a_recipe_reads_is_copied_beside_it_and_nothing_else(tmp_path: Path) -> None:
    write_recipe(tmp_path / "a" / "mine.yaml", "two-models-one-judge")
    write_recipe(tmp_path / "b" / "mine.yaml", "quickstart")
    written = sorted(str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file())
    assert written == ["a/mine.yaml", "a/prompts/everyday.jsonl", "b/mine.yaml", "b/quickstart_rules.py"]


def test_no_file_is_overwritten_and_then_none_is_written(tmp_path: Path) -> None:
    own = tmp_path / "quickstart_rules.py"
    own.write_text("# mine")
    with pytest.raises(UsageError, match=r"quickstart_rules\.py already exists"):
        write_recipe(tmp_path / "mine.yaml", "quickstart")
    assert [file.name for file in tmp_path.iterdir()] == [own.name]
    assert own.read_text() == "# mine"
    with pytest.raises(UsageError, match="already exists"):
        write_recipe(own, None)


def test_a_second_copy_takes_the_files_that_are_there(tmp_path: Path) -> None:
    write_recipe(tmp_path / "one.yaml", "quickstart")
    assert write_recipe(tmp_path / "two.yaml", "quickstart") == [tmp_path / "two.yaml"]


def test_a_name_that_no_recipe_has_is_answered_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'tanuki-ja'"):
        write_recipe(tmp_path / "mine.yaml", "tanuki")


def test_without_a_name_the_recipe_here_is_meant_else_the_quickstart_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert recipe_or_default(None) == "quickstart"
    assert "recipe: quickstart" in capsys.readouterr().err
    (tmp_path / "recipe.yaml").write_text("name: mine")
    assert recipe_or_default(None) == "recipe.yaml"
    assert "recipe: ./recipe.yaml" in capsys.readouterr().err
    assert recipe_or_default("quickstart") == "quickstart"
    assert capsys.readouterr().err == ""
