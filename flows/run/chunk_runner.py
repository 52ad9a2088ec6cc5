"""Run chunks of prompts through their stages; stages overlap, and each opens when its scout has passed."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from prefect.futures import PrefectFuture

from kasasagi.blocks.workspace.shards import Shard
from kasasagi.flows.run.chunk_executor import ChunkExecutor
from kasasagi.flows.run.concurrency import CHUNKS_IN_WORK, Concurrency, gather_bounded
from kasasagi.flows.run.driver import PromptChunk, Rows, number_of, outputs_of
from kasasagi.tasks.filter.stage import ORIGINALS
from kasasagi.tasks.stage_task import StageTask


class ChunkRunner:
    """Runs the chunks of some prompts through stages, the first as the scout of all unless they are rewrites.

    Rewrites do not tell how the originals fare, so they have no scout.
    """

    def __init__(self, run: ChunkExecutor, chunks: Sequence[Shard], concurrency: Concurrency, rows: Rows) -> None:
        self.run = run
        self.rows = rows
        self.after = (*rows.after, *run.judging.whole_stages)
        self.passed: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self.concurrency = concurrency if rows.part == ORIGINALS else Concurrency(len(chunks), CHUNKS_IN_WORK)
        self._prompts = chunks
        self._chunks: list[ActiveChunk] = []
        self._scouted = asyncio.Event()
        self._refused_before = frozenset(run.context.session.dispatcher.refused_ranks)

    async def run_all(self, one: Callable[[PromptChunk], Awaitable[None]]) -> None:
        """Take every chunk through its stages. Raises GateFailedError."""
        self._chunks = [ActiveChunk(self, number, prompts) for number, prompts in enumerate(self._prompts)]
        await gather_bounded((self._run_chunk(one, chunk) for chunk in self._chunks), self.concurrency.at_once)

    async def _run_chunk(self, one: Callable[[PromptChunk], Awaitable[None]], chunk: "ActiveChunk") -> None:
        """Take one chunk through its stages; with a budget, only the scout's answers tell what later stages take."""
        dispatcher = self.run.context.session.dispatcher
        if not chunk.is_ahead and dispatcher.has_budget:
            await self._scouted.wait()
        if dispatcher.refused_ranks - self._refused_before:
            return
        await one(chunk)
        if chunk.number == 0:
            self._scouted.set()

    def made(self, task: StageTask) -> list[Shard | None]:
        """Return what a stage made of each chunk."""
        return [chunk.made.get(task.name) for chunk in self._chunks]

    def futures(self, task: StageTask) -> tuple[PrefectFuture[Any], ...]:
        """Return the task run of each chunk in a stage."""
        return tuple(chunk.futures[task.name] for chunk in self._chunks if task.name in chunk.futures)


class ActiveChunk:
    """One chunk of prompts on its way."""

    def __init__(self, runner: ChunkRunner, number: int, prompts: Shard) -> None:
        self.number = number
        self.is_ahead = number < runner.concurrency.ahead
        self.made: dict[str, Shard | None] = {}
        self.futures: dict[str, PrefectFuture[Any]] = {}
        self._after = runner.after
        self._runner = runner
        self._inputs = {"prompts": prompts}

    async def through(self, task: StageTask) -> None:
        """Take the chunk through a stage, once its scout has passed.

        Raises:
            GateFailedError: If this is the scout.
        """
        runner, run = self._runner, self._runner.run
        if not task.stage.wanted(run.context.recipe):
            return
        passed = runner.passed[task.name]
        if not self.is_ahead:
            await passed.wait()
        number = number_of(runner.rows, self.number)
        inputs = {**self._inputs, **task.how.more_inputs(run.context, runner.rows.part)}
        opened = [] if self.is_ahead else run.judging.scouts(task.stage)
        handle = (await run.do(task, task.job(run.context, number, inputs), (*self._after, *opened))).handle
        self.made[task.name], self.futures[task.name] = task.made(handle), run.futures[task.name][number]
        self._after = (self.futures[task.name],)
        self._inputs |= outputs_of(handle)
        if runner.rows.part == ORIGINALS:
            run.watch(handle)
            if self.number == 0:
                await self._scout(task)
                passed.set()

    async def _scout(self, task: StageTask) -> None:
        run = self._runner.run
        if run.context.session.dispatcher.refused_by is None:  # what the budget left out says nothing of the data
            await run.judging.gate(task.stage, "scout", self._after)
