"""How an active run has chunks done: as task runs of Prefect, whose results are checked before they count."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from prefect.futures import PrefectFuture
from prefect.utilities.annotations import quote

from kasasagi.blocks.workspace.runs import RunHandle
from kasasagi.blocks.workspace.shards import Handle
from kasasagi.flows.run.concurrency import result_of
from kasasagi.flows.run.driver import Driver
from kasasagi.flows.run.earlier_results import standing_handle
from kasasagi.flows.run.gating import Gates
from kasasagi.flows.run.options import Options
from kasasagi.flows.run.plan.budgets import budget_sentence, costs_by_rank
from kasasagi.flows.run.plan.counting import StagePlan
from kasasagi.tasks.asking import ChunkJob
from kasasagi.tasks.context import Context
from kasasagi.tasks.stage_task import StageTask

Future = PrefectFuture[Any]


class ChunkExecutor(Driver):
    """A run that has chunks done and says what it will ask; lives in the flow's event loop."""

    def __init__(self, context: Context, options: Options) -> None:
        super().__init__(context)
        self.session = context.session
        self.options = options
        self.progress = options.progress
        self.judging = Gates(context, options)
        self.futures: dict[str, dict[int, Future]] = defaultdict(dict)
        """The task run of each chunk, by stage and number."""
        self.watch: Callable[[Handle], None] = lambda handle: None
        """Is given every chunk of the source's prompts that a stage has done."""

    def behind(self, task: StageTask) -> tuple[Future, ...]:
        """Return the task runs of a stage's chunks so far."""
        return tuple(self.futures[task.name].values())

    async def do(self, task: StageTask, job: ChunkJob, after: Sequence[Future] = ()) -> RunHandle:
        """Have a chunk done behind other task runs, by an earlier run if its result still stands, else now.

        Raises LedgerError.
        """
        for refresh in (False, True):
            placed = task.with_options(refresh_cache=refresh, result_storage=self.session.run.workspace.results_folder)
            placed.tags = set()  # Prefect would ask its server for a slot of each tag, and fail where it is gone
            # Prefect would search a parameter for the tasks that it comes from, and find others by equal values.
            future = placed.submit(quote(job), return_state=False, wait_for=list(after))
            self.futures[job.stage][job.chunk] = future
            result = await result_of(future)
            if refresh or await asyncio.to_thread(self._stands, job, result):
                break
        handle = Handle.model_validate(result)
        self.progress.count(job.stage)
        return self.session.run.add(handle, reused=handle.run != job.run)

    def _stands(self, job: ChunkJob, result: Any) -> bool:
        """Return whether a result is this run's; or an earlier one's that still counts."""
        mine = isinstance(result, dict) and result.get("run") == job.run
        return mine or standing_handle(self.session, result) is not None

    def log_plans(self, plans: Sequence[StagePlan], later: Sequence[StagePlan]) -> None:
        """Say what stages are going to take, and tell the dispatcher, with what later ones will need."""
        for plan in plans:
            self.options.log(plan.sentence())
        if (sentence := budget_sentence(self.recipe.budget, [*plans, *later])) is not None:
            self.options.log(sentence)
        self.session.dispatcher.reserve_for(costs_by_rank(self.session.ranks, [*plans, *later]))

    async def settle(self) -> None:
        """Wait until no task run works any more, once the run itself has ended."""
        waiting = [result_of(future) for some in self.futures.values() for future in some.values()]
        await asyncio.gather(*waiting, return_exceptions=True)
