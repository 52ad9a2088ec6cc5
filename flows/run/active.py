"""An active run: it takes rows through the stages by chunks, and lets stages overlap behind their gates."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from prefect import State
from prefect.states import Completed

from kasasagi.flows.run.chunk_executor import ChunkExecutor
from kasasagi.flows.run.chunk_runner import ChunkRunner
from kasasagi.flows.run.chunks import prompt_chunks
from kasasagi.flows.run.concurrency import Concurrency, responsive, result_of
from kasasagi.flows.run.driver import PromptChunk, Rows, inputs_of
from kasasagi.flows.run.plan.planner import Planner
from kasasagi.flows.run.waves import Waves
from kasasagi.tasks.filter.stage import REWRITES
from kasasagi.tasks.format_dpo.stage import FORMAT_DPO
from kasasagi.tasks.publish import Release
from kasasagi.tasks.publish.task import publishing
from kasasagi.tasks.stage_task import StageTask


class NothingNewError(Exception):
    """Every prompt was published before, so that the run ends without a dataset."""


class ActiveRun(ChunkExecutor):
    """Takes rows through the stages of one run."""

    message = "nothing was to be published"
    """What came of the run, in one sentence."""

    @property
    def id(self) -> str:
        """The run's id."""
        return self.session.run.id

    async def source(self, task: StageTask) -> Rows:
        """Load the source's rows."""
        self.progress.expect(task.name, 1)
        done = await self.do(task, await asyncio.to_thread(task.job, self.context, 0, {}))
        return Rows(task.made(done.handle), after=self.behind(task))

    async def whole(self, task: StageTask, rows: Rows, *beside: Rows) -> Rows:
        """Take all rows through a stage that sees them at once."""
        if rows.shard is None or not task.stage.wanted(self.recipe):
            return rows
        self.progress.now = task.name
        self.progress.expect(task.name, rows.part + 1)
        inputs = await asyncio.to_thread(inputs_of, self.context, task, rows, *beside)
        job = await asyncio.to_thread(task.job, self.context, rows.part, inputs)
        after = dict.fromkeys(future for other in (rows, *beside) for future in other.after)
        done = await self.do(task, job, (*after, *self.judging.whole_stages))
        return replace(rows, shard=task.made(done.handle), made={}, after=(self.futures[task.name][rows.part],))

    async def run_chunks(self, task: StageTask, rows: Rows) -> Rows:
        """Take rows through a stage chunk by chunk, the first of the source's as the scout of all.

        Raises:
            GateFailedError: If the scout fails.
        """
        if not self.takes(task, rows) or rows.shard is None:
            return rows
        self.progress.now = task.name
        origin = task.how.needs_origin(self.context)
        chunks = await asyncio.to_thread(prompt_chunks, self.session, rows.shard, not origin)
        planner = Planner(self.context)
        await asyncio.to_thread(planner.count, task, rows, chunks)
        self._log_plan(planner, len(chunks), rows, task)
        concurrency = Concurrency.of(self.session, task.stage.models(self.recipe), chunks)
        runner = ChunkRunner(self, chunks, concurrency, rows)
        await runner.run_all(lambda chunk: chunk.through(task))
        gathered = await asyncio.to_thread(self.gather, task, rows, runner.made(task))
        return replace(gathered, after=runner.futures(task))

    async def until_target(self, synthesize: StageTask, choose: Callable[[Rows], Awaitable[Rows]]) -> Rows:
        """Draw instructions in waves until as many as wanted are chosen.

        Raises:
            GateFailedError: If too few are.
        """
        return await Waves(self, synthesize).prompts(choose)

    async def overlap(self, one: Callable[[PromptChunk], Awaitable[None]], rows: Rows) -> None:
        """Take every chunk through several stages, many at a time, the first as the scout of all.

        Where the budget does not reach for a call, no further chunk is begun, those on their way continue with what was
        answered and what is left for their later stages, and BudgetSpentError is raised at the end.
        """
        if not self.recipe.answers or rows.shard is None:
            self._raise_if_refused()
            return
        self.progress.now = "planning"
        chunks = await asyncio.to_thread(prompt_chunks, self.session, rows.shard)
        planner = Planner(self.context)
        await asyncio.to_thread(lambda: asyncio.run(planner.count_chunks(one, chunks)))
        self._log_plan(planner, len(chunks), rows)
        if not self.recipe.pairing:
            self.options.log("no judge is named and no pairs are made: the responses are the dataset")
        self.progress.now = "answering"
        respond = self.recipe.respond
        samples = sum(responder.samples or respond.samples for responder in respond.models)
        concurrency = Concurrency.of(self.session, [responder.use for responder in respond.models], chunks, samples)

        async def each(chunk: PromptChunk) -> None:
            if chunk.number == len(chunks) - 1:
                self.session.dispatcher.finish_first()
            await one(chunk)

        with responsive():
            await ChunkRunner(self, chunks, concurrency, rows).run_all(each)
        self._raise_if_refused()

    def _raise_if_refused(self) -> None:
        if (refused := self.session.dispatcher.refused_by) is not None:
            raise refused

    def end_if_nothing_is_new(self, prompts: Rows) -> None:
        """End a run that was to publish only what is new, where nothing is. Raises NothingNewError."""
        if self.recipe.filter.dedup.published and not prompts.count:
            self._raise_if_refused()
            self.options.log("nothing is new since the last publication, so nothing is published")
            raise NothingNewError

    async def gates(self, *tasks: StageTask) -> None:
        """Judge stages on all their rows; what the budget left out says nothing of the data. Raises GateFailedError."""
        for task in tasks if self.session.dispatcher.refused_by is None else ():
            await self.judging.gate(task.stage, "whole", self.behind(task))

    def _log_plan(self, planner: Planner, chunks: int, rows: Rows, task: StageTask | None = None) -> None:
        """Say what is going to be asked about chunks of rows, with what the stages behind a task will need."""
        for one in planner.reached:
            before = self.progress.wanted.get(one.name, 0) if rows.part == REWRITES else 0
            self.progress.expect(one.name, before + chunks)
        later = Planner(self.context)
        if task is not None:
            later.guess_behind(task, task.how.yields(self.context, rows.count) + rows.beside, rows.part)
        self.log_plans(planner.plans(), later.plans())

    async def publish(self) -> None:
        """Bring the dataset to where the recipe says, now that every gate has passed."""
        run = self.session.run
        made = [one.account.rows_out for one in run.handles() if one.handle.stage == FORMAT_DPO.name]
        run.save(run.state().model_copy(update={"publishable": run.product() != "pairs" or sum(made) > 0}))
        if self.options.publish and self.recipe.publish.wanted:
            self.progress.now = "publishing"
            last = next((self.behind(task) for task in reversed(self.tasks) if self.futures[task.name]), ())
            future = publishing(run).submit(return_state=False, wait_for=[*self.judging.whole_stages, *last])
            released = Release.model_validate(await result_of(future))
            self.message = f"{released.rows:,} {run.product()} in {' and '.join(released.places)}"

    def final_state(self) -> State[str]:
        """Return the flow run's last state, which says what came of the run; its result is the run's id."""
        return Completed(message=self.message, data=self.id)
