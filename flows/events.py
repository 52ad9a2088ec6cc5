"""Events: how a run ended, said to Prefect, so that automations can act on it."""

import logging

from prefect.events import emit_event

from blocks.workspace import Run, RunState

ENDS = {0: "done", 3: "stopped-by-gate", 4: "stopped-by-budget"}


def end_of(state: RunState) -> str:
    """The name of the event that says how a run ended."""
    return f"kasasagi.run.{ENDS.get(1 if state.exit_code is None else state.exit_code, 'failed')}"


def announce(run: Run) -> None:
    """Say how a run ended; a run does not fail because nobody could be told."""
    state = run.state()
    resource = {"prefect.resource.id": f"kasasagi.run.{run.id}", "prefect.resource.name": state.name}
    payload = {"run": run.id, "recipe": state.name, "error": state.error, "output": state.published}
    try:
        emit_event(end_of(state), resource=resource, payload=payload)
    except Exception as error:
        logging.getLogger(__name__).warning("the end of the run could not be announced: %s", error)
