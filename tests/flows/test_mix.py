"""Recipes that mix runs: what they may not say, which runs are refused and why, and what the commands do with a mix."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from kasasagi.blocks.workspace.runs import Run, Workspace
from kasasagi.flows.check.before_start import problems_before_start
from kasasagi.flows.check.parts import part_problems
from kasasagi.flows.cli.app import app
from kasasagi.flows.cli.prefect_server import deployments
from kasasagi.flows.errors import UsageError
from kasasagi.flows.rebuild.rebuild import rebuild_pairs
from kasasagi.flows.recipe.errors import RecipeError
from kasasagi.flows.recipe.gates import gate_problems
from kasasagi.flows.recipe.loading import LoadedRecipe, check_recipe
from kasasagi.flows.views.trace import trace
from kasasagi.tasks.mix.config import MixError
from kasasagi.tasks.publish.families import rewrites
from tests.mixed import finished_run, load_mix, mixed, rows_of, words

PLAIN = {"name": "mixed", "source": {"kind": "runs", "parts": {"a": {"run": "a"}, "b": {"run": "b"}}}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A workspace with two runs that can be mixed."""
    finished_run(tmp_path / "ws", "run-a", words(6, "alpha"), name="a")
    finished_run(tmp_path / "ws", "run-b", words(4, "beta"), name="b")
    return tmp_path / "ws"


def problems(folder: Path, **parts: Any) -> str:
    source = {"kind": "runs", "parts": parts}
    loaded = LoadedRecipe(recipe=check_recipe({"name": "mixed", "source": source}, folder), base=folder)
    return "\n".join(problems_before_start(loaded, Workspace(folder)))


def changed(run: Run, **state: Any) -> None:
    run.save(run.state().model_copy(update=state))


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        (
            {"status": "running"},
            "run-a is still active, so its pairs are not complete; wait",
        ),
        (
            {"status": "stopped", "error": "a gate failed: x"},
            "run-a is stopped (a gate failed: x), so its pairs are not",
        ),
        ({"status": "failed", "error": None}, "run-a is failed, so its pairs are not mixed; run its recipe again"),
        ({"preview": True}, "run-a is a preview of a few rows; name a run of the whole recipe"),
    ],
)
def test_a_run_that_did_not_end_well_is_not_mixed(folder: Path, state: dict[str, Any], sentence: str) -> None:
    changed(Run(Workspace(folder), "run-a"), **state)
    assert problems(folder, x={"run": "run-a"}, y={"run": "run-b"}).startswith("source.parts.x.run: the run ")
    assert sentence in problems(folder, x={"run": "run-a"})
    assert sentence in problems(folder, x={"recipe": "a"})
    assert problems(folder, y={"run": "run-b"}) == ""


def test_runs_that_are_not_there_are_named_with_what_is(folder: Path) -> None:
    found = problems(folder, x={"run": "run-c"}, y={"recipe": "c"}, z={"run": "run-a", "workspace": "nowhere"})
    first, second, third = found.split("\n")
    assert first.startswith("source.parts.x.run: no run matches 'run-c' in the workspace ")
    assert first.endswith("the latest runs are: run-b, run-a")
    assert second.startswith("source.parts.y.recipe: 'c' has no run in the workspace ")
    assert third.startswith("source.parts.z.workspace: 'nowhere' is not a workspace, neither beside the recipe nor ")
    assert "matches several runs" in problems(folder, x={"run": "run-"})
    assert "the run run-a is the part x already; name it once" in problems(
        folder, x={"run": "run-a"}, y={"recipe": "a"}
    )
    answers = finished_run(folder, "run-d", words(2, "delta"), name="d", judge=None)
    assert f"{answers.id} makes responses and no pairs; add a judge" in problems(folder, x={"run": "run-d"})


def test_the_latest_run_that_ended_well_is_taken_from_any_workspace(folder: Path, tmp_path: Path) -> None:
    finished_run(tmp_path / "other", "run-e", words(3, "epsilon"), name="e")
    later = finished_run(folder, "run-f", words(3, "alpha"), name="a")
    parts = {"x": {"recipe": "a"}, "y": {"recipe": "e", "workspace": "../other"}}
    source = load_mix(folder, parts).recipe.source.model_dump(exclude_defaults=True)["parts"]
    assert source == {"x": {"run": "run-f"}, "y": {"run": "run-e", "workspace": str(tmp_path / "other")}}
    changed(later, status="failed")
    made = mixed(folder, parts)
    assert rows_of(made, "SELECT part, run, pairs FROM mix_parts") == [("x", "run-a", 6), ("y", "run-e", 3)]
    assert rewrites(made)


def test_columns_of_different_types_are_refused_and_checked_before(folder: Path) -> None:
    finished_run(folder, "run-g", words(2, "gamma"), kept={"level": 1})
    finished_run(folder, "run-h", words(2, "eta"), kept={"level": "one"})
    with pytest.raises(
        MixError, match=r"parts\.h: the column 'level' is VARCHAR, and in the part g it is BIGINT; give"
    ):
        mixed(folder, {"g": {"run": "run-g"}, "h": {"run": "run-h"}})
    [problem] = part_problems(load_mix(folder, {"g": {"run": "run-g"}, "h": {"run": "run-h"}}), Workspace(folder))
    assert problem.startswith("source.parts.h: the column 'level' is VARCHAR")
    finished_run(folder, "run-j", words(2, "kappa"), kept={"level": None})
    made = mixed(folder, {"h": {"run": "run-h"}, "j": {"run": "run-j"}}, number=2)
    assert rows_of(made, "SELECT DISTINCT part, level FROM prompts ORDER BY ALL") == [("h", "one"), ("j", None)]
    finished_run(folder, "run-i", words(2, "iota"), kept={"part": "one"})
    with pytest.raises(MixError, match="run-i keeps a column 'part', which is the name of one that a mix adds; rename"):
        mixed(folder, {"i": {"run": "run-i"}}, number=1)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"judge": {"model": "x"}, "models": {"x": {"kind": "bundled"}}},
            "judge: this has no effect, since source.kind",
        ),
        ({"budget": {"usd": 5}}, "budget: this has no effect"),
        ({"filter": {"dedup": {"exact": False}}}, "filter.dedup.exact: false would leave a prompt in two parts"),
        ({"filter": {"dedup": {"near": False}}}, "filter.dedup.near: false would leave near duplicates on both sides"),
        (
            {"publish": {"path": "x", "licenses": {"c": "mit"}}},
            "publish.licenses: 'c' is no part of the mix; name a part",
        ),
        ({"publish": {"path": "x", "formats": ["tlr"]}}, "publish.formats.0: 'tlr' is not a format"),
        ({"filter": {"rules": [{"min_char": 3}]}}, "min_char"),
    ],
)
def test_what_a_mix_cannot_have_is_an_error(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RecipeError, match=sentence.replace(".", r"\.")):
        check_recipe({**PLAIN, **changes}, Path())


def test_only_a_mix_does_without_models_and_removes_near_duplicates_by_itself() -> None:
    assert check_recipe(PLAIN, Path()).filter.dedup.near == 0.7
    assert check_recipe({**PLAIN, "filter": {"dedup": {"near": 1}}}, Path()).filter.dedup.near == 1
    again = check_recipe(check_recipe(PLAIN, Path()).plain(), Path())
    assert again == check_recipe(PLAIN, Path())
    with pytest.raises(RecipeError, match="models: this key is missing"):
        check_recipe({"name": "x", "source": {"kind": "dataset", "path": "x.jsonl"}}, Path())
    with pytest.raises(RecipeError, match=r"models: \{\} is empty; write at least one entry"):
        check_recipe({"name": "x", "source": {"kind": "dataset", "path": "x.jsonl"}, "models": {}}, Path())


def test_gates_that_a_mix_would_always_pass_are_refused() -> None:
    expect = {"stage": "judge", "expectation": "ExpectColumnValuesToBeInSet", "column": "unreadable", "mostly": 0.99}
    recipe = check_recipe({**PLAIN, "gates": {"expect": [expect]}}, Path())
    assert {one.stage for one in recipe.expectations} == {"load", "filter", "respond", "judge", "format_dpo", "mix"}
    [problem] = gate_problems(recipe)
    assert "the runs were judged before: leave this expectation out" in problem


def test_a_pair_is_traced_back_into_the_run_of_its_part(folder: Path) -> None:
    made = mixed(folder, {"x": {"run": "run-a"}, "y": {"run": "run-b"}})
    [(prompt, part)] = rows_of(made, "SELECT prompt_id, part FROM pairs WHERE part = 'y' LIMIT 1")
    [found] = trace(made, prompt)["parts"]
    assert (found["part"], found["run"], found["recipe"]) == (part, "run-b", "b")
    assert found["trace"].startswith(f"kasasagi trace {prompt} run-b -w ")
    assert trace(Run(Workspace(folder), "run-b"), prompt)["parts"] == []
    shown = CliRunner().invoke(app, ["trace", prompt[:8], made.id, "-w", str(folder)]).stdout
    assert "Part y" in shown
    with pytest.raises(UsageError, match="mixes pairs of other runs and makes none: pair one of those again"):
        rebuild_pairs(Workspace(folder), made.id, [])


def test_check_plan_and_serve_know_a_mix(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = folder.parent / "mix.yaml"
    file.write_text(yaml.safe_dump({**PLAIN, "publish": {"path": str(folder.parent / "out")}}), encoding="utf-8")
    monkeypatch.setenv("COLUMNS", "200")
    ended = CliRunner().invoke(app, ["plan", str(file), "-w", str(folder)])
    assert "no run matches 'a'" in str(ended.exception)
    file.write_text(file.read_text(encoding="utf-8").replace("run: ", "run: run-"), encoding="utf-8")
    assert CliRunner().invoke(app, ["plan", str(file), "-w", str(folder)]).stdout == "a mix of runs makes no call\n"
    checked = CliRunner().invoke(app, ["check", str(file), "-w", str(folder)])
    assert "part a: the run run-a\npart b: the run run-b\nthe recipe is valid" in checked.stdout
    flows = {one.name: one.flow_name for one in deployments({"recipe": str(file)})}
    assert flows["nightly"] == "mix"
    assert {one.name: one.flow_name for one in deployments({})}["nightly"] == "preference"
