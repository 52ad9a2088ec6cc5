"""Approvals: a person accepts what a gate would stop, and the next run on the same data remembers it."""

import getpass
import os
import time
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field, ValidationError

from kasasagi.blocks.canonical import digest
from kasasagi.blocks.hints import command
from kasasagi.blocks.models.kinds import Config
from kasasagi.blocks.workspace.runs import Run, Workspace
from kasasagi.tasks.gate.outcome import Outcome

FOLDER = "approvals"
APPROVED = "approved"


class Approval(Config):
    """What a person approved: one outcome of one job, and nothing that comes out otherwise."""

    job: str = Field(description="Name of the recipe.")
    stage: str = Field(description="The stage.")
    scope: str = Field(description="Whether the first chunk or the whole was judged.")
    expectation: str = Field(description="Class and column.")
    expected: str = Field(description="What was expected.")
    observed: str = Field(description="What was seen and approved; other data need another approval.")
    run: str = Field(description="The run that was stopped.")
    by: str = Field(description="Who approved.")
    at: float = Field(description="When, in seconds since 1970.")


def approval_of(job: str, outcome: Outcome, run: str) -> Approval:
    """Return a person's approval of an outcome, given now."""
    return Approval(
        job=job,
        stage=outcome.stage,
        scope=outcome.scope,
        expectation=outcome.expectation,
        expected=outcome.detail,
        observed=outcome.observed,
        run=run,
        by=_whoami(),
        at=time.time(),
    )


def write_approvals(workspace: Workspace, job: str, outcomes: Sequence[Outcome], run: str) -> None:
    """Record a person's approval of these outcomes."""
    folder = workspace.folder / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for outcome in outcomes:
        file = _file(workspace, job, outcome)
        new = file.with_suffix(f".{os.getpid()}.new")
        new.write_text(approval_of(job, outcome, run).model_dump_json(indent=1) + "\n", encoding="utf-8")
        new.replace(file)


def approval(workspace: Workspace, job: str, outcome: Outcome) -> Approval | None:
    """Return the approval of an outcome of a job, if a person gave it; a file that cannot be read is none."""
    try:
        return Approval.model_validate_json(_file(workspace, job, outcome).read_text(encoding="utf-8"))
    except (OSError, ValidationError, UnicodeDecodeError):
        return None


def apply_approvals(workspace: Workspace, job: str, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return the outcomes; those that a person approved have the severity `approved`, so that they stop nothing."""
    return [_with_approval(one, approval(workspace, job, one)) if one.stops else one for one in outcomes]


def _with_approval(outcome: Outcome, given: Approval | None) -> Outcome:
    if given is None:
        return outcome
    return outcome.model_copy(update={"severity": APPROVED, "detail": f"{outcome.detail}; let pass by {given.by}"})


def _file(workspace: Workspace, job: str, outcome: Outcome) -> Path:
    name = digest([job, outcome.stage, outcome.scope, outcome.expectation, outcome.detail, outcome.observed])
    return workspace.folder / FOLDER / f"{name}.json"


def _whoami() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "somebody"


def remedy(run: Run) -> str:
    """Return what a person can do about a run that waits."""
    approve = command("people", "approve", run.id, workspace=run.workspace.folder)
    return f"look at it with `{approve}`, and if you let it pass, run the recipe again"
