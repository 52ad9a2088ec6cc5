"""The approval of a run that has ended, said to Prefect as an event: what starts the deployment that publishes it."""

import os

from kasasagi.blocks.workspace.runs import Run

EVENT = "kasasagi.run.approved"


def emit_approval(run: Run) -> None:
    """Tell the Prefect server, where there is one, that a person let pass what had stopped a run.

    A run that still waits goes on by itself and is not announced.
    """
    if run.state().status == "running" or not os.environ.get("PREFECT_API_URL"):
        return
    from kasasagi.flows.reporting.events import emit_run_event
    from kasasagi.flows.runner import quiet_terminal, send_history

    quiet_terminal()
    emit_run_event(EVENT, run)
    send_history()
