"""The approval of a run that has ended, sent to Prefect as an event, which starts the deployment that publishes it."""

import os

from kasasagi.blocks.workspace.runs import Run

EVENT = "kasasagi.run.approved"


def announce_approval(run: Run) -> None:
    """Tell the Prefect server, where there is one, that a person let pass what had stopped a run.

    A run that still waits continues by itself and is not announced.
    """
    if run.state().status == "running" or not os.environ.get("PREFECT_API_URL"):
        return
    from kasasagi.flows.reporting.events import announce_as
    from kasasagi.flows.runner import quiet_terminal, send_history

    quiet_terminal()
    announce_as(EVENT, run)
    send_history()
