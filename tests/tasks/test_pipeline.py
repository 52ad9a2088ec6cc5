"""One list of stages: what is derived from it, and what must agree with it."""

import re
from pathlib import Path

import pytest

from kasasagi.tasks.pipeline import STAGES, default_expectations, gate_of, ranks
from kasasagi.tasks.stage_tasks import TASKS

ROOT = Path(__file__).parents[2]


def test_tasks_and_stages_have_one_order() -> None:
    assert tuple(task.stage for task in TASKS) == STAGES
    assert [task.name for task in TASKS] == [stage.name for stage in STAGES]


def test_later_stages_outrank_earlier_ones_and_calls_of_no_stage() -> None:
    order = [ranks()[stage.name] for stage in STAGES]
    assert order == sorted(set(order))
    assert order[0] > 0


def test_each_default_expectation_stands_with_its_stage() -> None:
    for stage in STAGES:
        expected = [one for one in default_expectations(several_judges=True) if one.stage == stage.name]
        gate = stage.gate
        assert expected == ([*gate.expect, *gate.of_several_judges] if gate else [])
        assert gate is None or gate_of(stage.name) is gate


def test_a_stage_that_pays_expects_its_calls_to_be_answered() -> None:
    for stage in STAGES:
        looked_at = {one.arguments.get("column") for one in (stage.gate.expect if stage.gate else ())}
        assert stage.pays == ("no_answer" in looked_at), stage.name


@pytest.mark.parametrize("name", ["README.md", "README.ja.md"])
def test_the_readmes_list_the_gate_of_every_stage(name: str) -> None:
    """Stages that are only asked for their calls share a row of their own."""
    rows = re.findall(r"^\| ([a-z_, ]+) \|", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE)
    listed = {stage for row in rows for stage in row.split(", ")} & {stage.name for stage in STAGES}
    columns = {stage.name: {one.arguments.get("column") for one in stage.gate.expect} for stage in STAGES if stage.gate}
    assert listed == {stage for stage, expected in columns.items() if expected != {"no_answer"}}
