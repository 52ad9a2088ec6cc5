"""The task that judges a stage."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from prefect import task
from prefect.artifacts import create_markdown_artifact

from kasasagi.blocks.workspace.runs import Run
from kasasagi.tasks.asking import Session
from kasasagi.tasks.context import current
from kasasagi.tasks.gate.approvals import apply_approvals, remedy
from kasasagi.tasks.gate.evaluation.chunks import judge_chunks
from kasasagi.tasks.gate.evaluation.known_outcomes import GateScope
from kasasagi.tasks.gate.explain.reasons import cause_of, commonest_reason
from kasasagi.tasks.gate.outcome import GateFailedError, Outcome, keep_outcomes
from kasasagi.tasks.gate.validation_results import seen_on_scout
from kasasagi.tasks.tables.run_tables import tables_of


@task(name="gate", retries=0, persist_result=False, task_run_name="gate-{stage}-{scope}")
def gate(stage: str, scope: GateScope, stops: bool = True, refused: str | None = None) -> list[dict[str, Any]]:
    """Evaluate the gate of a stage on its first chunk or on all rows, and store the outcomes.

    Args:
        stage: The stage.
        scope: Whether the first chunk or all rows are evaluated.
        stops: Whether a critical failure is raised; otherwise a person is asked about the outcomes first.
        refused: The reason if a person refused the outcomes; empty if they were approved, None if no person was asked.

    Returns:
        The outcomes as plain data.

    Raises:
        GateFailedError: An expectation fails, and the recipe stops the run in this case.
    """
    context = current()
    run, recipe = context.session.run, context.recipe
    handles = [h for h in run.handles() if scope == "whole" or h.handle.chunk == 0]
    outcomes = judge_chunks(run, handles, stage, scope, recipe.expectations, context.gate_process)
    pauses = recipe.gates.on_fail == "pause"
    if pauses:
        outcomes = apply_approvals(run.workspace, run.state().name, outcomes)
    keep_outcomes(run, stage, scope, outcomes)
    failed = [one for one in outcomes if not one.success]
    stopping = [one for one in outcomes if one.stops]
    if refused is None:
        raises = stops and recipe.gates.on_fail == "stop"
        in_error = [one for one in stopping if raises]
        _log(context.session, failed if scope == "scout" else _news(run, stage, failed, in_error), in_error)
    if stopping and stops and recipe.gates.on_fail != "warn":
        way_on = "; ".join(part for part in (refused, remedy(run) if pauses else None) if part)
        reason = None if refused else _reason(run, stopping)
        _show(run, stage, failed, reason)
        raise GateFailedError(stopping, way_on or None, reason)
    return [outcome.model_dump() for outcome in outcomes]


def _log(session: Session, failed: Sequence[Outcome], in_error: Sequence[Outcome]) -> None:
    """Log failed expectations, with the causes of those that the error of the gate does not name."""
    causes = iter(_causes(session.run, [one for one in failed if one not in in_error]))
    for one in failed:
        sentence = f"gate {one.severity}: {one.sentence()}"
        session.log(sentence if one in in_error else f"{sentence}; {next(causes)}")


def _news(run: Run, stage: str, failed: Sequence[Outcome], in_error: Sequence[Outcome]) -> list[Outcome]:
    """Return the failed expectations of a whole stage that its first chunk did not show with the same figures."""
    known = seen_on_scout(run, stage, [one.result() for one in failed])
    return [one for one, was_logged in zip(failed, known, strict=True) if one in in_error or not was_logged]


def _causes(run: Run, failed: Sequence[Outcome]) -> list[str]:
    """Return the cause of each failed expectation, if its rows show one, and the command that shows more."""
    if not failed:
        return []
    with tables_of(run, run.handles()) as connection:
        return [cause_of(connection, run, one.stage, one.expectation).sentence() for one in failed]


def _reason(run: Run, stopping: Sequence[Outcome]) -> str | None:
    """Return the commonest reason among the rows that a failed gate is about, and the command that shows them."""
    with tables_of(run, run.handles()) as connection:
        return commonest_reason(connection, run, stopping)


def _show(run: Run, stage: str, failed: Sequence[Outcome], reason: str | None) -> None:
    """Leave an artifact of a failed gate; the gate fails all the same where Prefect takes none."""
    lines = [f"- **{one.severity}**: {one.sentence()}" for one in failed]
    with suppress(Exception):
        create_markdown_artifact(
            "\n".join([*lines, *(["", reason] if reason else [])]),
            key=f"gate-{stage.replace('_', '-')}",
            description=f"gate on {stage} of {run.id}",
        )
