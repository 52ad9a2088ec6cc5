"""Events: how a run ended, said to Prefect, so that automations can act on it."""

import logging

from prefect.events import emit_event

from kasasagi.blocks.workspace.runs import Run, RunState

ENDS = {0: "done", 3: "stopped-by-gate", 4: "stopped-by-budget"}


def end_of(state: RunState) -> str:
    """The name of the event that says how a run ended."""
    return f"kasasagi.run.{ENDS.get(1 if state.exit_code is None else state.exit_code, 'failed')}"


def emit_end(run: Run) -> None:
    """Say how a run ended; a run does not fail because nobody could be told."""
    emit_run_event(end_of(run.state()), run)


def emit_run_event(name: str, run: Run) -> None:
    """Say something of a run under an event's name, with where it lies and how it ended."""
    state = run.state()
    resource = {"prefect.resource.id": f"kasasagi.run.{run.id}", "prefect.resource.name": state.name}
    payload = {"run": run.id, "recipe": state.name, "error": state.error, "output": state.published}
    try:
        emit_event(name, resource=resource, payload={**payload, "workspace": str(run.workspace.folder)})
    except Exception as error:
        logging.getLogger(__name__).warning("%s could not be announced: %s", name, error)
