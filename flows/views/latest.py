"""The run that a command takes when none is named, and a note where another one may be meant."""

from kasasagi.blocks.hints import command
from kasasagi.blocks.workspace.runs import LATEST, Run, RunState, Workspace
from kasasagi.flows.views.language import say


def latest_run(workspace: Workspace, name: str | None, active: bool = False, newest: bool = False) -> Run:
    """Return the run of that id; for None or `latest`, the latest that has a dataset, or the newest where none has.

    Args:
        workspace: Where the runs are.
        name: An id, the beginning of one, `latest` or None.
        active: Whether a newest run that is still active comes first.
        newest: Whether None stands for the newest run of all, with or without a dataset.

    Raises:
        kasasagi.blocks.workspace.runs.WorkspaceError: There is no such run.
    """
    active = active and any(state.status == "running" for state in workspace.runs()[:1])
    return workspace.run(name or None, active or (newest and not name))


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


def note_on_newest(workspace: Workspace, run: Run, name: str) -> str | None:
    """Return a sentence on the given run where it is the newest and has no dataset, but another one has.

    Args:
        workspace: Where the runs are.
        run: The run that a command takes.
        name: The command, which is repeated with `latest`.
    """
    newest, *others = workspace.runs()
    if newest.run != run.id or newest.has_dataset or not any(state.has_dataset for state in others):
        return None
    see = command(name, LATEST, workspace=workspace.folder)
    text = "{run}, the newest run, {end}; {see} takes the latest that has a dataset"
    return say(text, run=run.id, end=say(_end(newest)), see=see)


def _end(state: RunState) -> str:
    if state.status == "done":
        return "is a preview"
    ends = {"running": "is still active", "stopped": "was stopped", "killed": "was killed"}
    return ends.get(state.status, "has failed")
