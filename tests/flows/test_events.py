"""The event of a run's end, and that the automations listen for the events that are emitted."""

from pathlib import Path

import pytest
import yaml

from kasasagi.blocks.workspace.runs import Run, Workspace
from kasasagi.flows.reporting.events import ENDS, end_of

FILE = Path(__file__).parents[2] / "deployments" / "automations.yaml"


@pytest.mark.parametrize(
    ("code", "name"),
    [(0, "done"), (1, "failed"), (3, "stopped-by-gate"), (4, "stopped-by-budget"), (130, "failed"), (None, "failed")],
)
def test_the_event_says_how_a_run_ended(tmp_path: Path, code: int | None, name: str) -> None:
    workspace = Workspace(tmp_path)
    workspace.prepare()
    state = Run.begin(workspace, "r", "job", {}).state().model_copy(update={"exit_code": code})
    assert end_of(state) == f"kasasagi.run.{name}"


def test_automations_listen_for_events_that_are_said() -> None:
    from prefect.automations import Automation

    entries = yaml.safe_load(FILE.read_text(encoding="utf-8"))["automations"]
    names = {f"kasasagi.run.{name}" for name in ENDS.values()}
    for entry in entries:
        made = Automation.model_validate(entry)
        assert {name for name in made.trigger.expect if not name.startswith("prefect.flow-run.")} <= names
        assert made.actions
    assert len({entry["name"] for entry in entries}) == len(entries) == 4


def test_a_crashed_run_of_any_deployment_is_taken_up_again() -> None:
    deployments = yaml.safe_load((FILE.parent / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
    entries = {one["name"]: one for one in yaml.safe_load(FILE.read_text(encoding="utf-8"))["automations"]}
    trigger = entries["kasasagi-run-crashed"]["trigger"]
    [tag] = [one["prefect.resource.id"] for one in trigger["match_related"] if one["prefect.resource.role"] == "tag"]
    assert all(f"prefect.tag.{name}" == tag for one in deployments for name in one["tags"])
    assert all(one["tags"] for one in deployments)
    assert trigger["within"] >= 600, "a run that is killed again and again is not begun without end"
