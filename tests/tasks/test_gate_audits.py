"""Gates on the figures of audits: what holds them, what fails them, and what a recipe may write."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from kasasagi.blocks.workspace.runs import Run, Workspace
from kasasagi.flows.recipe.gates import gate_problems
from kasasagi.flows.views.data_docs import page_of
from kasasagi.tasks.asking import quarantine_row
from kasasagi.tasks.gate.config import GatesConfig
from kasasagi.tasks.gate.evaluation.audits import judge_audits
from kasasagi.tasks.gate.evaluation.evaluate import judge_stage
from kasasagi.tasks.gate.explain.failing import failing_rows
from kasasagi.tasks.gate.explain.reasons import cause_of
from kasasagi.tasks.gate.explain.words import NO_ROWS, plain_name
from kasasagi.tasks.gate.outcome import Outcome, keep_outcomes
from kasasagi.tasks.gate.validation_results import read_results
from kasasagi.tasks.recipe import Recipe
from tests.run_example import RECIPE
from tests.tasks.test_gate import run, tables

__all__ = ["run"]
SHORTCUT = "ExpectShortcutAucToBeBetween"


def rows_of(count: int, marker: str = "Sure! ") -> dict[str, list[dict[str, Any]]]:
    """Pairs whose chosen response begins with a marker."""
    digests = [hashlib.sha256(str(n).encode()).hexdigest() for n in range(2 * count)]
    texts = [(f"{marker}{digests[2 * n]}", digests[2 * n + 1]) for n in range(count)]
    responses = [
        {"response_id": f"{side}{n}", "prompt_id": f"p{n}", "model": side, "content": text}
        for n, both in enumerate(texts)
        for side, text in zip("cr", both, strict=True)
    ]
    pairs = [{"prompt_id": f"p{n}", "chosen_id": f"c{n}", "rejected_id": f"r{n}", "margin": 1.0} for n in range(count)]
    return {"responses": responses, "pairs": pairs}


def outcome(run: Run, rows: dict[str, Any], **fields: Any) -> Outcome:
    config = GatesConfig.model_validate({"expect": [{"stage": "format_dpo", "expectation": SHORTCUT, **fields}]})
    stage = config.expect[0].stage
    with tables(run, **rows) as connection:
        assert judge_stage(connection, stage, "whole", config.expect) == []
        assert judge_audits(connection, run, stage, "scout", config.expect) == []
        return judge_audits(connection, run, stage, "whole", config.all())[0]


def test_a_shortcut_warns_with_its_auc(run: Run) -> None:
    found = outcome(run, rows_of(80))
    assert (found.success, found.severity, found.stops) == (False, "warning", False)
    assert found.sentence() == "format_dpo: shortcut AUC: 1.0 (at most 0.9)"
    assert found.counts == {"observed_value": 1.0}


def test_a_recipe_may_stop_the_run_or_allow_more(run: Run) -> None:
    assert outcome(run, rows_of(80), severity="critical").stops
    assert outcome(run, rows_of(80), max_value=1).success
    assert outcome(run, rows_of(80), min_value=0.2).success, "whoever names a bound has that one alone"


def test_pairs_without_a_shortcut_pass(run: Run) -> None:
    assert outcome(run, rows_of(80, marker="")).success


def test_too_few_pairs_are_no_rows(run: Run) -> None:
    found = outcome(run, rows_of(20))
    assert (found.success, found.observed) == (True, NO_ROWS)
    assert outcome(run, {}).observed == NO_ROWS


def test_an_audit_that_cannot_be_made_has_failed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> float:
        raise ValueError("no figure")

    monkeypatch.setattr("kasasagi.tasks.gate.evaluation.audits.FIGURES", {SHORTCUT: broken})
    found = outcome(run, rows_of(80))
    assert (found.success, found.severity) == (False, "critical")
    assert "ValueError: no figure" in found.detail


def run_of(folder: Path, **settings: Any) -> Run:
    """A run of the example's recipe with other settings."""
    workspace = Workspace(folder / "own")
    workspace.prepare()
    return Run.begin(workspace, "run", "job", {**RECIPE, **settings})


def test_a_judge_that_favours_its_family_warns(tmp_path: Path) -> None:
    models = {"c": {"model": "qwen3-8b"}, "r": {"model": "llama-3"}, "kin": {"model": "Qwen/QwQ"}, "other": {}}
    run = run_of(tmp_path, models=models)
    marks = {"kin": (5.0, 1.0), "other": (3.0, 3.0)}
    ratings = [
        {"response_id": f"{side}{n}", "prompt_id": f"p{n}", "judge": judge, "aspect": "a", "ordering": "first"}
        | {"rating": mark, "call_id": judge}
        for n in range(40)
        for judge, both in marks.items()
        for side, mark in zip("cr", both, strict=True)
    ]
    responses = [{**row, "call_id": row["model"]} for row in rows_of(40)["responses"]]
    rows = {"ratings": ratings, "responses": responses, "calls": [{"call_id": one, "model": one} for one in models]}
    found = outcome(run, rows, stage="judge", expectation="ExpectSelfPreferenceToBeBetween")
    assert (found.success, found.severity) == (False, "warning")
    assert found.sentence() == "judge: self-preference of judges: 0.5 (at most 0.1)"
    rows["ratings"] = [row for row in ratings if row["judge"] == "kin"]
    lone = outcome(run_of(tmp_path / "lone", models=models), rows, stage="judge", expectation=found.expectation)
    assert lone.observed == NO_ROWS


@pytest.mark.parametrize(("split", "observed"), [({"test": 0.5}, "1.0"), (None, NO_ROWS)])
def test_test_prompts_like_training_prompts_warn(tmp_path: Path, split: Any, observed: str) -> None:
    run = run_of(tmp_path, publish={**RECIPE["publish"], "split": split})
    messages = [{"role": "user", "content": "Which birds build a bridge for the stars in summer?"}]
    prompts = [{"prompt_id": f"p{n}", "instruction": "", "messages": messages} for n in range(40)]
    rows = {**rows_of(40), "prompts": prompts}
    found = outcome(run, rows, expectation="ExpectSplitDuplicatesToBeBetween")
    assert (found.success, found.observed) == (split is None, observed)
    assert plain_name(found.expectation) == "test prompts like training prompts"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"stage": "respond"}, "looks at format_dpo and not at respond: write stage: format_dpo"),
        ({"mostly": 0.9}, "takes the numbers min_value and max_value alone"),
        ({"max_value": "much"}, "takes the numbers min_value and max_value alone"),
        ({"expectation": "ExpectShortcutAUC"}, "did you mean 'ExpectShortcutAucToBeBetween'"),
    ],
)
def test_a_recipe_that_asks_an_audit_amiss_is_told_how(fields: dict[str, Any], message: str) -> None:
    entry = {"stage": "format_dpo", "expectation": SHORTCUT, **fields}
    with pytest.raises(ValidationError, match=message):
        GatesConfig.model_validate({"expect": [entry]})


def test_check_finds_nothing_amiss_and_what_is_written_reads_back() -> None:
    entry = {"stage": "format_dpo", "expectation": SHORTCUT}
    recipe = Recipe.model_validate({**RECIPE, "gates": {"expect": [entry]}})
    assert gate_problems(recipe) == []
    dumped = recipe.gates.model_dump(mode="json")
    assert dumped["expect"][0] | {"severity": "warning", "scope": "whole", "max_value": 0.9} == dumped["expect"][0]
    assert GatesConfig.model_validate(dumped) == recipe.gates


def test_it_is_explained_and_rendered_like_the_others(run: Run) -> None:
    found = outcome(run, rows_of(80))
    keep_outcomes(run, "format_dpo", "whole", [found])
    page = page_of(read_results(run)[0])
    assert "shortcut AUC" in page
    assert plain_name(found.expectation) == "shortcut AUC"
    one = GatesConfig.model_validate({"expect": [{"stage": "format_dpo", "expectation": SHORTCUT}]}).expect[0]
    with tables(run, **rows_of(80)) as connection:
        assert failing_rows(connection, one, base=Path()) == []
        quarantined = quarantine_row("format_dpo", "q", "too_few_responses", None, {})
    with tables(run, quarantine=[quarantined]) as connection:
        cause = cause_of(connection, run, "format_dpo", found.expectation).sentence()
    assert cause.startswith("see `kasasagi report run") or cause.startswith("see kasasagi report run")
