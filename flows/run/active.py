"""An active run: it takes rows through the stages by chunks, and lets stages overlap behind their gates."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any

from prefect import State, get_run_logger
from prefect.exceptions import MissingContextError
from prefect.futures import PrefectFuture
from prefect.states import Completed
from prefect.utilities.annotations import quote

from kasasagi.blocks.gc_pause import responsive
from kasasagi.blocks.workspace.shards import Handle
from kasasagi.flows.run.chunk_runner import ChunkRunner
from kasasagi.flows.run.concurrency import Concurrency, gather_bounded, result_of
from kasasagi.flows.run.driver import Chunk, Driver, Rows
from kasasagi.flows.run.gating import Gates
from kasasagi.flows.run.options import Options
from kasasagi.flows.run.planner import Planner
from kasasagi.tasks.asking import ChunkJob
from kasasagi.tasks.context import Context
from kasasagi.tasks.filter.stage import ORIGINALS, REWRITES
from kasasagi.tasks.format_dpo.second_pass import remakes
from kasasagi.tasks.format_dpo.stage import FORMAT_DPO
from kasasagi.tasks.format_dpo.target import PairsMade
from kasasagi.tasks.mix.stage import MIX
from kasasagi.tasks.plans.budgets import budget_sentence, costs_by_rank
from kasasagi.tasks.plans.counting import StagePlan
from kasasagi.tasks.publish import Release
from kasasagi.tasks.publish.task import publishing
from kasasagi.tasks.stage_task import StageTask, standing_handle
from kasasagi.tasks.synthesize.floor import YieldFloor
from kasasagi.tasks.synthesize.stage import SYNTHESIZE

Future = PrefectFuture[Any]
MAKE_PAIRS = (FORMAT_DPO.name, MIX.name)
"""The stages that make what is published."""


class NothingNewError(Exception):
    """Every prompt was published before, so that the run ends without a dataset."""


class ActiveRun(Driver):
    """Takes rows through the stages of one run, as task runs of Prefect; lives in the flow's event loop."""

    message = "nothing was to be published"
    """What came of the run, in one sentence."""

    def __init__(self, context: Context, options: Options) -> None:
        super().__init__(context)
        self.session = context.session
        self.options = options
        self.progress = options.progress
        self.judging = Gates(context, options)
        self.futures: dict[str, dict[int, Future]] = defaultdict(dict)
        """The task run of each chunk, by stage and number."""

    @cached_property
    def _floor(self) -> YieldFloor:
        """Counts the yield of draws."""
        return YieldFloor(self.context, self.options.log, _log_line)

    @property
    def id(self) -> str:
        """The run's id."""
        return self.session.run.id

    @property
    def gates_passed(self) -> tuple[Future, ...]:
        """The task runs of the gates on whole stages so far."""
        return self.judging.whole_stages

    def behind(self, task: StageTask) -> tuple[Future, ...]:
        """Return the task runs of a stage's chunks so far."""
        return tuple(self.futures[task.name].values())

    def expect(self, task: StageTask, chunks: int) -> None:
        """Show a stage's progress, and that it is the one in work."""
        self.progress.now = task.name
        self.progress.expect(task.name, chunks)

    async def do(self, task: StageTask, chunk: Chunk) -> Chunk:
        """Have a chunk done behind other task runs, by an earlier run if its result still stands, else now.

        Raises LedgerError.
        """
        job = await asyncio.to_thread(self.job, task, chunk)
        for refresh in (False, True):
            placed = task.with_options(refresh_cache=refresh, result_storage=self.session.run.workspace.results_folder)
            placed.tags = set()  # Prefect would ask its server for a slot of each tag, and fail where it is gone
            # Prefect would search a parameter for the tasks that it comes from, and find others by equal values.
            future = placed.submit(quote(job), return_state=False, wait_for=list(chunk.after))
            self.futures[job.stage][job.chunk] = future
            result = await result_of(future)
            if refresh or await asyncio.to_thread(self._stands, job, result):
                break
        handle = Handle.model_validate(result)
        self.progress.count(job.stage)
        self.session.run.add(handle, reused=handle.run != job.run)
        if self.draws or task.name == SYNTHESIZE.name:
            await self._floor.watch(handle)
        return chunk.done(handle, after=[future])

    def _stands(self, job: ChunkJob, result: Any) -> bool:
        """Return whether a result is this run's; or an earlier one's that still counts."""
        mine = isinstance(result, dict) and result.get("run") == job.run
        return mine or standing_handle(self.session, result) is not None

    async def run_chunks(self, stages: StageTask | Sequence[StageTask], rows: Rows) -> Rows:
        """Take rows through one stage or several chunk by chunk; several overlap, and later ones go first.

        The first chunk of the source's rows is the scout of all.

        Raises:
            GateFailedError: If the scout fails.
        """
        taking = self.taking(stages, rows)
        if not taking or not rows.count:
            return rows
        self.progress.now = "planning"
        chunks = await self.split(taking, rows)
        beyond = taking[-1].how.yields(self.context, rows.count) + rows.beside
        await self._log_plan(taking, chunks, beyond, rows.part)
        later = rows.part == REWRITES or bool(rows.wave and rows.wave.start)
        for task in taking:
            before = self.progress.wanted.get(task.name, 0) if later else 0
            self.expect(task, before + len(chunks))
        self.progress.now = stages.name if isinstance(stages, StageTask) else "answering"
        concurrency = Concurrency(len(chunks)) if later else Concurrency.of(self.context, taking[0].stage, chunks)
        with responsive():
            runner = ChunkRunner(self, self.judging, taking, chunks, concurrency)
            done = await gather_bounded(runner.run, chunks, concurrency.at_once)
        return await self.gather(taking[-1], rows, done)

    async def draw(self, synthesize: StageTask, chunks: Sequence[Chunk], accepted: int) -> Rows:
        """Draw further instructions, and return the prompts of all draws."""
        draws = chunks[-1].params["stop"]
        await self._log_plan([synthesize], chunks, self.context.magpie.target or draws)
        self.expect(synthesize, len(self.draws) + len(chunks))
        self._floor.begin_wave(draws)
        concurrency = Concurrency(len(chunks))
        runner = ChunkRunner(self, self.judging, [synthesize], chunks, concurrency)
        self.draws += await gather_bounded(runner.run, chunks, concurrency.at_once)
        return await self.drawn(synthesize)

    async def accept(self, drawn: int, accepted: int) -> bool:
        """Judge the yield of all draws so far, and return whether more may follow. Raises GateFailedError."""
        return await asyncio.to_thread(self._floor.check, self.context.magpie, drawn, accepted)

    async def waves(self, prompts: Rows, more: Callable[[], Awaitable[Rows]]) -> AsyncIterator[Rows]:
        """Yield the waves, then leave out what is beyond quotas and the target, or say where fewer pairs were made."""
        async for wave in super().waves(prompts, more):
            yield wave
        task, run = next(task for task in self.tasks if task.name == FORMAT_DPO.name), self.session.run
        again = await asyncio.to_thread(remakes, run, self.recipe)
        for count, one in enumerate(again, 1):
            self.expect(task, len(self.futures[task.name]) + count)
            await self.do(task, Chunk(one.chunk, one.inputs, params=one.params, after=self.behind(task)))
        sentence = PairsMade.of(run).shortage(self.recipe.pairs.target, "prompts of the source are used")
        if sentence is not None and not self.is_spent:
            self.options.log(sentence)

    async def _log_plan(
        self, stages: Sequence[StageTask], chunks: Sequence[Chunk], beyond: int, part: int = ORIGINALS
    ) -> None:
        """Say what stages are going to ask about chunks, with the calls about the rows that continue beyond them."""
        planner = Planner(self.context)
        await planner.count(stages, chunks)
        planner.guess_behind(stages[-1], beyond, part)
        self.log_plans(planner.plans(), [task.name for task in stages])

    def log_plans(self, plans: Sequence[StagePlan], now: Sequence[str]) -> None:
        """Say what the stages of now are going to take, and tell the dispatcher, with what later ones will need."""
        for plan in plans:
            if plan.stage in now:
                self.options.log(plan.sentence())
        if (sentence := budget_sentence(self.recipe.budget, plans)) is not None:
            self.options.log(sentence)
        self.session.dispatcher.reserve_for(costs_by_rank(self.session.ranks, plans))

    def end_if_nothing_is_new(self, prompts: Rows) -> None:
        """End a run that was to publish only what is new, where nothing is. Raises NothingNewError."""
        if self.recipe.filter.dedup.published and not prompts.count:
            self._raise_if_refused()
            self.options.log("nothing is new since the last publication, so nothing is published")
            raise NothingNewError

    def _raise_if_refused(self) -> None:
        if (refused := self.session.dispatcher.refused_by) is not None:
            raise refused

    async def gates(self, *tasks: StageTask) -> None:
        """Judge stages on all their rows; what the budget left out says nothing of the data. Raises GateFailedError."""
        for task in () if self.is_spent else tasks:
            await self.judging.gate(task.stage, "whole", self.behind(task))

    async def publish(self) -> None:
        """Bring the dataset to where the recipe says, now that every gate has passed.

        Raises:
            BudgetSpentError: If the budget did not reach for a call, so that rows are missing and gates not judged.
        """
        self._raise_if_refused()
        run = self.session.run
        made = [one.account.rows_out for one in run.handles() if one.handle.stage in MAKE_PAIRS]
        run.save(run.state().model_copy(update={"publishable": run.product() != "pairs" or sum(made) > 0}))
        if self.options.publish and self.recipe.publish.wanted:
            self.progress.now = "publishing"
            last = next((self.behind(task) for task in reversed(self.tasks) if self.futures[task.name]), ())
            future = publishing(run).submit(return_state=False, wait_for=[*self.judging.whole_stages, *last])
            released = Release.model_validate(await result_of(future))
            self.message = f"{released.contents(run.product())} in {' and '.join(released.places)}"

    def final_state(self) -> State[str]:
        """Return the flow run's last state, which says what came of the run; its result is the run's id."""
        return Completed(message=self.message, data=self.id)

    async def settle(self) -> None:
        """Wait until no task run works any more, once the run itself has ended."""
        waiting = [result_of(future) for some in self.futures.values() for future in some.values()]
        await asyncio.gather(*waiting, return_exceptions=True)


def _log_line(line: str) -> None:
    """Write a line into the flow run's log."""
    with suppress(MissingContextError):
        get_run_logger().info(line)
