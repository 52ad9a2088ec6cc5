"""What the parts of an active run need of it."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from prefect.futures import PrefectFuture

from kasasagi.blocks.workspace.runs import RunHandle
from kasasagi.blocks.workspace.shards import Handle
from kasasagi.flows.reporting.progress import Progress
from kasasagi.flows.run.gating import Gates
from kasasagi.flows.run.options import Options
from kasasagi.flows.run.plan.counting import StagePlan
from kasasagi.tasks.asking import ChunkJob, Session
from kasasagi.tasks.context import Context
from kasasagi.tasks.recipe import Recipe
from kasasagi.tasks.stage_task import StageTask


class ChunkExecutor(Protocol):
    """A run that has chunks done and says what it will ask."""

    context: Context
    session: Session
    options: Options
    progress: Progress
    judging: Gates
    futures: dict[str, dict[int, PrefectFuture[Any]]]
    watch: Callable[[Handle], None]

    @property
    def recipe(self) -> Recipe:
        """The recipe that is run."""

    async def do(self, task: StageTask, job: ChunkJob, after: Sequence[PrefectFuture[Any]] = ()) -> RunHandle:
        """Have a chunk done behind other task runs."""

    def log_plans(self, plans: Sequence[StagePlan], later: Sequence[StagePlan]) -> None:
        """Say what stages are going to take, and keep later ones their share of the budget."""
