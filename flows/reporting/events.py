"""Prefect events that report how a run ended, so that automations can act on it."""

import logging

from prefect.events import emit_event

from kasasagi.blocks.workspace.runs import Run, RunState

FLOW_RUN_ENDED = "kasasagi.flow-run.ended"
ENDS = {0: "done", 3: "stopped-by-gate", 4: "stopped-by-budget"}


def end_of(state: RunState) -> str:
    """Return the name of the event that says how a run ended."""
    return f"kasasagi.run.{ENDS.get(1 if state.exit_code is None else state.exit_code, 'failed')}"


def emit_end_event(run: Run) -> None:
    """Emit the event of a run's end, and one of its flow run; a failure to emit is logged and does not fail the run.

    A flow run that is suspended while it works sends heartbeats until its next task, and no event when it ends: without
    one of ours, a monitor of heartbeats considers the run lost.
    """
    state = run.state()
    emit_run_event(end_of(state), run)
    if state.flow_run:
        _emit(FLOW_RUN_ENDED, {"prefect.resource.id": f"prefect.flow-run.{state.flow_run}"}, {"run": run.id})


def emit_run_event(name: str, run: Run) -> None:
    """Emit an event about a run, with its folder and how it ended."""
    state = run.state()
    resource = {"prefect.resource.id": f"kasasagi.run.{run.id}", "prefect.resource.name": state.name}
    payload = {"run": run.id, "recipe": state.name, "error": state.error, "output": state.published}
    _emit(name, resource, {**payload, "workspace": str(run.workspace.folder)})


def _emit(name: str, resource: dict[str, str], payload: dict[str, str | None]) -> None:
    try:
        emit_event(name, resource=resource, payload=payload)
    except Exception as error:
        logging.getLogger(__name__).warning("the event %s could not be emitted: %s", name, error)
