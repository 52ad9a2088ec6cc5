"""The run that a command means when none is named, and a note on a later one that it passes over."""

from kasasagi.blocks.hints import command
from kasasagi.blocks.workspace.runs import Run, RunState, Workspace
from kasasagi.flows.views.language import say


def latest_run(workspace: Workspace, name: str | None, active: bool = False) -> Run:
    """Return the run of that id; for None or `latest`, the latest that has a dataset, or the newest where none has.

    Args:
        workspace: Where the runs are.
        name: An id, the beginning of one, `latest` or None.
        active: Whether a newest run that is still active comes first.

    Raises:
        kasasagi.blocks.workspace.runs.WorkspaceError: There is no such run.
    """
    newest = active and any(state.status == "running" for state in workspace.runs()[:1])
    return workspace.run(name or None, newest)


def note_on_later(workspace: Workspace, run: Run) -> str | None:
    """Return a sentence on the newest run where another one, without a dataset, started after the given run."""
    newest = next(iter(workspace.runs()), None)
    if newest is None or newest.run == run.id or newest.has_dataset:
        return None
    see = command("show", newest.run, workspace=workspace.folder)
    return say(
        "latest is {run}: {later} started later and {end}; {see} shows that one",
        run=run.id,
        later=newest.run,
        end=say(_end(newest)),
        see=see,
    )


def _end(state: RunState) -> str:
    if state.status == "done":
        return "is a preview"
    ends = {"running": "is still active", "stopped": "was stopped", "killed": "was killed"}
    return ends.get(state.status, "has failed")
