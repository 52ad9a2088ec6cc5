"""A run as a plan sees it: what it reads is the run's, what it writes lies apart and is thrown away."""

from pathlib import Path

from kasasagi.blocks.workspace.runs import Run, RunHandle, Workspace
from kasasagi.blocks.workspace.shards import Handle, Shard, ShardStore


class ScratchShards(ShardStore):
    """Shards in a folder of their own, above those of a workspace."""

    def __init__(self, folder: Path, below: ShardStore) -> None:
        super().__init__(folder)
        self._below = below

    def path(self, shard: Shard | str) -> Path:
        """Return where a shard lies: here, else in the workspace."""
        here = super().path(shard)
        return here if here.exists() else self._below.path(shard)


class ScratchWorkspace(Workspace):
    """A workspace whose new shards lie in a folder of a run."""

    def __init__(self, workspace: Workspace, folder: Path) -> None:
        super().__init__(workspace.folder)
        self._scratch = ScratchShards(folder, workspace.shards)

    @property
    def shards(self) -> ShardStore:
        """The store of shards."""
        return self._scratch


class PlannedRun(Run):
    """A run whose chunks are counted in memory only."""

    keeps_calls = False

    def __init__(self, run: Run) -> None:
        scratch = run.folder / "scratch" / "plan"
        scratch.mkdir(parents=True, exist_ok=True)
        super().__init__(ScratchWorkspace(run.workspace, scratch), run.id)
        self._planned: list[RunHandle] = []

    def add(self, handle: Handle, reused: bool) -> RunHandle:
        """Count a chunk in this plan."""
        self._planned.append(RunHandle(handle=handle, reused=reused, account=handle.account))
        return self._planned[-1]

    def handles(self) -> list[RunHandle]:
        """Return the chunks of the run and of the plan."""
        return [*super().handles(), *self._planned]
