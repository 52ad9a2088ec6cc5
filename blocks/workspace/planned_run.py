"""A run as a plan sees it."""

from kasasagi.blocks.workspace.runs import SCRATCH, Run, RunHandle, Workspace
from kasasagi.blocks.workspace.shards import Handle


class PlannedRun(Run):
    """A run as a plan sees it: it reads the run's chunks and shards; its own lie apart and are thrown away."""

    keeps_calls = False

    def __init__(self, run: Run) -> None:
        super().__init__(Workspace(run.workspace.folder, run.folder / SCRATCH / "plan"), run.id)
        self._planned: list[RunHandle] = []

    def add(self, handle: Handle, reused: bool) -> RunHandle:
        """Count a chunk in this plan."""
        self._planned.append(RunHandle(handle=handle, reused=reused, account=handle.account))
        return self._planned[-1]

    def handles(self) -> list[RunHandle]:
        """Return the chunks of the run and of the plan."""
        return [*super().handles(), *self._planned]
