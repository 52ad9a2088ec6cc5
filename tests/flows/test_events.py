"""The event of a run's end, and that the automations listen for the events that are emitted."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from kasasagi.blocks.workspace.runs import Run, Workspace
from kasasagi.flows.reporting import events
from kasasagi.flows.reporting.events import ENDS, FLOW_RUN_ENDED, emit_end_event, end_of

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


@pytest.mark.parametrize("flow_run", [None, "5f1d"])
def test_the_end_is_told_of_the_flow_run_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flow_run: str | None
) -> None:
    emitted = list[tuple[str, str]]()
    monkeypatch.setattr(
        events, "emit_event", lambda name, resource, payload: emitted.append((name, resource["prefect.resource.id"]))
    )
    workspace = Workspace(tmp_path)
    workspace.prepare()
    run = Run.begin(workspace, "r", "job", {})
    if flow_run is not None:
        run.save(run.state().model_copy(update={"flow_run": flow_run}))
    emit_end_event(run)
    assert ((FLOW_RUN_ENDED, f"prefect.flow-run.{flow_run}") in emitted) == (flow_run is not None)
    assert emitted[0] == ("kasasagi.run.failed", f"kasasagi.run.{run.id}")


SUSPENDED_WHILE_IT_WORKS = ("heartbeat", "Suspended", "heartbeat")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ends", "fires"),
    [(("kasasagi.flow-run.ended",), False), (("prefect.flow-run.Completed",), False), ((), True)],
    ids=["suspended", "done", "killed"],
)
def test_only_a_run_that_was_killed_counts_as_lost(
    tmp_path: Path, used_home: Path, ends: tuple[str, ...], fires: bool
) -> None:
    shutil.copy(used_home / "prefect.db", tmp_path / "p.db")
    names = [*(f"prefect.flow-run.{name}" for name in SUSPENDED_WHILE_IT_WORKS), *ends]
    home = {
        "PREFECT_HOME": str(tmp_path),
        "PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{tmp_path}/p.db",
    }
    command = [sys.executable, "-m", "tests.flows.lost_runs", str(FILE), *names]
    done = subprocess.run(command, env={**os.environ, **home}, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.splitlines()[-1] == ("kasasagi-run-lost" if fires else "nothing")


def test_automations_listen_for_events_that_are_said() -> None:
    from prefect.automations import Automation

    entries = yaml.safe_load(FILE.read_text(encoding="utf-8"))["automations"]
    names = {FLOW_RUN_ENDED, *(f"kasasagi.run.{name}" for name in ENDS.values())}
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
