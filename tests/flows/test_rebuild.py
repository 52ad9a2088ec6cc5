"""Rebuilt pairs: the gates check all rows again, and an unfinished run gives none to publish."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from kasasagi.blocks.workspace.runs import Run, RunState, Workspace
from kasasagi.flows.errors import KasasagiError
from kasasagi.flows.rebuild.rebuild import rebuild_pairs, republish
from kasasagi.flows.upkeep.stopped_runs import rows_behind
from kasasagi.flows.views.diff import pair_changes
from kasasagi.tasks.gate.approvals import write_approvals
from kasasagi.tasks.gate.explain import words
from kasasagi.tasks.gate.outcome import GateFailedError, Outcome, keep_outcomes
from kasasagi.tasks.tables.run_tables import open_tables
from tests.run_example import GATE_DETAILS, RECIPE, build_example_run

SHARE = "ExpectColumnValuesToBeInSet"
OWN_CLASS = """
import great_expectations.expectations as gxe


class ExpectBrief(gxe.ExpectColumnValueLengthsToBeBetween):
    column: str = "content"
    max_value: int = 3
"""
# What the example's few rows do not hold.
LENIENT: list[dict[str, Any]] = [
    {"stage": "judge", "expectation": SHARE, "column": "unreadable", "mostly": 0.1},
    {"stage": "format_dpo", "expectation": SHARE, "column": "chosen_is_longer", "mostly": 0.0},
]
ANY_FAVOURITE = {"stage": "format_dpo", "expectation": SHARE, "column": "chosen_from_favourite", "mostly": 0.0}
FEW_ANSWERS = {"stage": "respond", "expectation": "ExpectTableRowCountToBeBetween", "max_value": 1}
AT_THE_SCOUT = Outcome(
    stage="respond",
    scope="scout",
    expectation="ExpectTableRowCountToBeBetween",
    severity="critical",
    success=False,
    observed="3",
    detail="max_value 1",
)


@pytest.fixture(autouse=True)
def _few_rows_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven prompts are held to the limits of many."""
    monkeypatch.setattr(words, "FEW_ROWS", 0)


def example(folder: Path, *expected: dict[str, Any], on_fail: str = "stop", **changes: Any) -> Run:
    """A run of seven prompts in two chunks; its recipe expects what holds for it, and what is given beside."""
    gates = {"on_fail": on_fail, "expect": [*LENIENT, *(expected or (ANY_FAVOURITE,))]}
    return build_example_run(folder, prompts=7, recipe={**RECIPE, "gates": gates, **changes})


def without(run: Run, stage: str, chunk: int, status: str = "stopped") -> Run:
    """The same run, stopped before that chunk of a stage was done."""
    kept = [one for one in run.handles() if (one.handle.stage, one.handle.chunk) != (stage, chunk)]
    lines = [one.model_dump_json() for one in kept if one.handle.stage != "format_dpo"]
    (run.folder / "handles.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    run.database.unlink()
    run.save(run.state().model_copy(update={"status": status, "exit_code": 4, "error": "the budget is spent"}))
    return run


def latest(workspace: Workspace) -> tuple[Run, RunState]:
    run = workspace.run(newest=True)
    return run, run.state()


def gates_of(run: Run, success: bool = True) -> Sequence[tuple[str, str]]:
    with open_tables(run) as connection:
        query = f"SELECT stage, severity FROM gates WHERE detail NOT IN {GATE_DETAILS} AND success = ? ORDER BY ALL"
        return connection.execute(query, [success]).fetchall()


def pairs_in(run: Run) -> int:
    with open_tables(run) as connection:
        found = connection.execute("SELECT count(*) FROM pairs").fetchone()
    return found[0] if found else 0


def is_not_published(run: Run, folder: Path) -> None:
    with pytest.raises(KasasagiError, match="--partial"):
        republish(run.workspace, run.id, [f"publish.path={folder}"], partial=False)
    assert not folder.exists()


def test_every_stage_is_judged_again_and_what_holds_may_be_published(tmp_path: Path) -> None:
    old = example(tmp_path / "workspace")
    new = rebuild_pairs(old.workspace, old.id, [])
    assert new.state().status == "done"
    assert {stage for stage, _ in gates_of(new)} == {"load", "filter", "respond", "judge", "format_dpo"}
    assert republish(new.workspace, new.id, [f"publish.path={tmp_path / 'out'}"], partial=False).rows == 4


def test_what_became_of_the_pairs_is_said(tmp_path: Path) -> None:
    old = example(tmp_path / "workspace", on_fail="warn")
    new = rebuild_pairs(old.workspace, old.id, ["pairs.min_margin=5"])
    assert pair_changes(old, new) == "Pairs: 4 before, 0 now (4 gone)"
    assert pair_changes(new, old) == "Pairs: 0 before, 4 now (4 new)"
    assert pair_changes(old, old) == "Pairs: 4 before, 4 now (4 the same)"


def test_a_gate_on_answers_that_stopped_the_run_stops_its_pairs_too(tmp_path: Path) -> None:
    old = example(tmp_path / "workspace", FEW_ANSWERS, ANY_FAVOURITE)
    with pytest.raises(GateFailedError, match="respond: rows: "):
        rebuild_pairs(old.workspace, old.id, ["pairs.min_margin=2"])
    new, state = latest(old.workspace)
    assert (new.id != old.id, state.status, state.exit_code) == (True, "stopped", 3)
    assert gates_of(new, success=False) == [("respond", "critical")]
    assert pairs_in(new) == 4
    is_not_published(new, tmp_path / "out")


def test_what_only_the_gate_on_pairs_stopped_is_mended_by_other_pairs(tmp_path: Path) -> None:
    old = example(tmp_path / "workspace", pairs={"min_margin": 4}, publish={"path": str(tmp_path / "out")})
    with pytest.raises(GateFailedError, match="prompts that give a pair"):
        rebuild_pairs(old.workspace, old.id, [])
    stopped, _ = latest(old.workspace)
    new = rebuild_pairs(old.workspace, stopped.id, ["pairs.min_margin=1"])
    assert new.state().status == "done"
    assert not gates_of(new, success=False)
    assert republish(new.workspace, new.id, [], partial=False).rows == 4


def test_a_scout_that_failed_stays_failed_though_all_chunks_were_in_work_already(tmp_path: Path) -> None:
    old = example(tmp_path)
    keep_outcomes(old, "respond", "scout", [AT_THE_SCOUT])
    keep_outcomes(old, "format_dpo", "scout", [AT_THE_SCOUT.model_copy(update={"stage": "format_dpo"})])
    with pytest.raises(GateFailedError) as caught:
        rebuild_pairs(old.workspace, old.id, [])
    assert [one.stage for one in caught.value.outcomes] == ["respond"]
    assert gates_of(latest(old.workspace)[0], success=False) == [("respond", "critical")]


@pytest.mark.parametrize("stage", ["judge", "respond"])
def test_a_run_that_did_not_get_to_its_end_gives_pairs_to_look_at(tmp_path: Path, stage: str) -> None:
    sides = {"strategy": "strong_vs_weak", "strong": ["large"], "weak": ["small"]}
    changes = {"pairs": sides} if stage == "respond" else {}
    old = without(example(tmp_path / "workspace", **changes), stage, 1)
    with pytest.raises(KasasagiError, match=r"did not get to its end.* has the pairs of 4 of its 7 prompts: .*again"):
        rebuild_pairs(old.workspace, old.id, [])
    new, state = latest(old.workspace)
    assert (state.status, state.exit_code) == ("failed", 1)
    assert pairs_in(new)
    is_not_published(new, tmp_path / "out")
    with pytest.raises(KasasagiError, match="4 of its 7"):
        rebuild_pairs(new.workspace, new.id, [])
    place = f"publish.path={tmp_path / 'some'}"
    assert republish(new.workspace, new.id, [place], partial=True).rows == pairs_in(new)


def test_pairs_that_ask_for_no_judge_do_not_wait_for_one(tmp_path: Path) -> None:
    old = without(example(tmp_path), "judge", 1)
    sides = ["pairs.strategy=strong_vs_weak", "pairs.strong=[large]", "pairs.weak=[small]"]
    assert rebuild_pairs(old.workspace, old.id, sides).state().status == "done"


def test_a_run_that_goes_on_is_waited_for(tmp_path: Path) -> None:
    old = without(example(tmp_path), "judge", 1, status="running")
    with pytest.raises(KasasagiError, match=r"is still active.*when it has ended"):
        rebuild_pairs(old.workspace, old.id, [])


def test_a_run_that_failed_behind_its_last_gate_gives_pairs_as_one_that_is_done(tmp_path: Path) -> None:
    old = example(tmp_path)
    old.save(old.state().model_copy(update={"status": "failed", "exit_code": 1, "publishable": True}))
    assert rebuild_pairs(old.workspace, old.id, ["pairs.min_margin=2"]).state().status == "done"


def test_what_a_recipe_only_warns_of_is_on_record_and_stops_nothing(tmp_path: Path) -> None:
    old = example(tmp_path, FEW_ANSWERS, ANY_FAVOURITE, on_fail="warn")
    keep_outcomes(old, "respond", "scout", [AT_THE_SCOUT])
    new = rebuild_pairs(old.workspace, old.id, [])
    assert new.state().status == "done"
    assert gates_of(new, success=False) == [("respond", "critical")] * 2


def test_what_a_person_let_pass_passes_again(tmp_path: Path) -> None:
    old = example(tmp_path, FEW_ANSWERS, ANY_FAVOURITE, on_fail="pause")
    keep_outcomes(old, "respond", "scout", [AT_THE_SCOUT])
    with pytest.raises(GateFailedError) as caught:
        rebuild_pairs(old.workspace, old.id, [])
    stopped, state = latest(old.workspace)
    write_approvals(old.workspace, state.name, caught.value.outcomes, stopped.id)
    new = rebuild_pairs(old.workspace, old.id, [])
    assert new.state().status == "done"
    assert gates_of(new, success=False) == [("respond", "approved")] * 2


def test_an_own_class_judges_again_and_its_rows_are_shown(tmp_path: Path) -> None:
    (tmp_path / "my_gates.py").write_text(OWN_CLASS)
    own = {"stage": "respond", "expectation": "my_gates:ExpectBrief"}
    old = example(tmp_path / "workspace", own, ANY_FAVOURITE)
    old.save(old.state().model_copy(update={"base": str(tmp_path)}))
    with pytest.raises(GateFailedError, match="my_gates:ExpectBrief: 0") as caught:
        rebuild_pairs(old.workspace, old.id, [])
    stopped, _ = latest(old.workspace)
    [rows] = rows_behind(stopped, caught.value.outcomes)
    texts = [row["text"] for row in rows]
    assert any("Water boils" in text for text in texts)
    assert "Both are fine." not in texts  # a rationale about a response is not the response


def test_provided_responses_have_no_favourite(tmp_path: Path) -> None:
    recipe = {name: value for name, value in RECIPE.items() if name != "respond"}
    provided = {"chosen": "chosen", "rejected": "rejected"}
    source = {**RECIPE["source"], "responses": provided}
    gates = {"expect": LENIENT}
    old = build_example_run(tmp_path / "provided", prompts=7, recipe={**recipe, "source": source, "gates": gates})
    assert rebuild_pairs(old.workspace, old.id, []).state().status == "done"
    asked = build_example_run(tmp_path / "asked", prompts=7, recipe={**RECIPE, "gates": gates})
    with pytest.raises(GateFailedError, match="chosen from the most frequent model"):
        rebuild_pairs(asked.workspace, asked.id, [])


def test_a_verdict_of_a_person_is_no_reply_of_the_judge(tmp_path: Path) -> None:
    usual = {"stage": "judge", "expectation": "ExpectColumnValuesToBeBetween", "column": "rating", "max_value": 5}
    old = example(tmp_path, usual, ANY_FAVOURITE)
    with open_tables(old) as connection:
        prompt, response = connection.execute("SELECT prompt_id, rejected_id FROM pairs LIMIT 1").fetchall()[0]
    rating = {
        "response_id": response,
        "prompt_id": prompt,
        "judge": "human:ada",
        "aspect": "human",
        "ordering": "human",
    }
    new = rebuild_pairs(old.workspace, old.id, [], [{**rating, "place": 1, "rating": 9.0}])
    assert new.state().status == "done"
