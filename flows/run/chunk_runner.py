"""Run chunks through their stages; stages overlap, and each opens when its scout has passed."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from kasasagi.flows.run.concurrency import Concurrency, gather_bounded
from kasasagi.flows.run.driver import Chunk, Driver
from kasasagi.flows.run.gating import Gates
from kasasagi.tasks.stage_task import StageTask


class ChunkRunner:
    """Runs chunks through stages, many at a time.

    Chunk 0, the first of the source's, is the scout of all: the other chunks wait for the gate on it, but for those
    that may go ahead. Rewrites and later draws have no scout, so all of them go ahead.
    """

    def __init__(self, run: Driver, gates: Gates, stages: Sequence[StageTask], concurrency: Concurrency) -> None:
        self._run, self._gates, self._stages, self._concurrency = run, gates, stages, concurrency
        self._dispatcher = run.context.session.dispatcher
        self._passed: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._refused_before = frozenset(self._dispatcher.refused_ranks)

    async def run_all(self, chunks: Sequence[Chunk]) -> list[Chunk]:
        """Take every chunk through the stages. Raises GateFailedError."""
        last = len(chunks) - 1
        work = [partial(self._run_chunk, chunk, place, place == last) for place, chunk in enumerate(chunks)]
        return await gather_bounded(work, self._concurrency.at_once)

    async def _run_chunk(self, chunk: Chunk, place: int, is_last: bool) -> Chunk:
        """Take one chunk through the stages; with a budget, only the scout's answers tell what later stages take.

        Where the budget does not reach for a call, no further chunk is begun; those on their way continue with what was
        answered and with what is left for their later stages.
        """
        is_ahead = place < self._concurrency.ahead
        if not is_ahead and self._dispatcher.has_budget:
            await self._passed[self._stages[-1].name].wait()
        if self._dispatcher.refused_ranks - self._refused_before:
            return chunk
        if is_last and len(self._stages) > 1:
            self._dispatcher.finish_first()
        for task in self._stages:
            chunk = await self._through(task, chunk, is_ahead)
        return chunk

    async def _through(self, task: StageTask, chunk: Chunk, is_ahead: bool) -> Chunk:
        passed = self._passed[task.name]
        if not is_ahead:
            await passed.wait()
            chunk = replace(chunk, after=(*chunk.after, *self._gates.scouts(task.stage)))
        done = await self._run.take(task, chunk)
        if done.number == 0:
            if self._dispatcher.refused_by is None:  # what the budget left out says nothing of the data
                await self._gates.gate(task.stage, "scout", done.after)
            passed.set()
        return done
