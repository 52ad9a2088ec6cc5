"""What a recipe published last becomes the source of a run that rates it again."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from kasasagi.blocks.workspace.runs import Run
from kasasagi.flows.errors import KasasagiError, UsageError
from kasasagi.flows.rebuild.last_publication import last_published, pairs_file, recipe_from_last_published
from kasasagi.flows.recipe.loading import LoadedRecipe, check_recipe
from kasasagi.tasks.load import DatasetSource, load_prompts
from kasasagi.tasks.tables.run_tables import open_tables
from tests.run_example import RECIPE, build_example_run


def loaded(**changes: object) -> LoadedRecipe:
    return LoadedRecipe(recipe=check_recipe({**RECIPE, **changes}, Path()), base=Path())


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run of nine prompts that published its six pairs, followed by one that published nothing."""
    found = build_example_run(tmp_path, prompts=9)
    found.save(found.state().model_copy(update={"published": "/data/out"}))
    build_example_run(tmp_path, prompts=12, run_id="20260102-000000-example")
    return found


def test_the_latest_publication_is_rated_by_the_recipe_s_judges_alone(run: Run) -> None:
    recipe = recipe_from_last_published(loaded(budget={"usd": 3}), run.workspace).recipe
    assert last_published(run.workspace, "two-models-one-judge").id == run.id
    assert recipe.name == "two-models-one-judge-rejudged"
    assert list(recipe.models) == ["critic"]
    assert recipe.responses_provided
    assert not recipe.respond.models
    assert not recipe.publish.wanted
    assert recipe.gates.on_fail == "warn"
    assert recipe.budget.usd == 3
    assert recipe.kept_columns == ("topic",)


def test_the_pairs_are_read_as_they_were_published(run: Run, tmp_path: Path) -> None:
    source = recipe_from_last_published(loaded(), run.workspace).recipe.source
    assert isinstance(source, DatasetSource)
    rows = pq.read_table(source.path).to_pylist()
    with open_tables(run) as connection:
        pairs = connection.execute("SELECT prompt_id, chosen_id, rejected_id FROM pairs").fetchall()
    assert {(row["prompt_id"], row["chosen_id"], row["rejected_id"]) for row in rows} == set(pairs)
    into = tmp_path / "into"
    into.mkdir()
    result = load_prompts(source, into, tmp_path)
    assert (result.rows_out, result.quarantined) == (6, 0)
    assert set(pq.read_table(result.prompts)["prompt_id"].to_pylist()) == {one for one, _, _ in pairs}
    before = pairs_file(run).stat().st_mtime_ns
    assert pairs_file(run).stat().st_mtime_ns == before, "it is written once"


def test_a_week_is_a_round_of_the_judges(run: Run) -> None:
    judge = {**RECIPE["judge"], "round": 2916}
    assert (
        recipe_from_last_published(loaded(judge=judge), run.workspace).recipe.judging
        == check_recipe({**RECIPE, "judge": judge}, Path()).judging
    )


def test_nothing_published_and_nobody_who_judges_are_said(run: Run) -> None:
    with pytest.raises(KasasagiError, match=r"no run of other .* has published"):
        recipe_from_last_published(loaded(name="other"), run.workspace)
    pairs = {"strategy": "strong_vs_weak", "strong": ["large"], "weak": ["small"]}
    with pytest.raises(UsageError, match="has no judge"):
        recipe_from_last_published(loaded(pairs=pairs, judge=None), run.workspace)
