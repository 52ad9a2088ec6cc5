"""The Prefect event of the approval of a run that has ended, which starts the deployment that publishes it."""

import os

from kasasagi.blocks.workspace.runs import Run

EVENT = "kasasagi.run.approved"


def emit_approval_event(run: Run) -> None:
    """Emit the event that a person approved what had stopped a run, where there is a Prefect server.

    A run that still waits continues by itself, so no event is emitted.
    """
    if run.state().status == "running" or not os.environ.get("PREFECT_API_URL"):
        return
    from kasasagi.flows.reporting.events import emit_run_event
    from kasasagi.flows.runner import quiet_terminal, send_history

    quiet_terminal()
    emit_run_event(EVENT, run)
    send_history()
