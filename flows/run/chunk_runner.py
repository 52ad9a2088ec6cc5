"""Run chunks through their stages; stages overlap, and each opens when its scout has passed."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from kasasagi.flows.run.concurrency import Concurrency
from kasasagi.flows.run.driver import Chunk, Driver
from kasasagi.flows.run.gating import Gates
from kasasagi.tasks.stage_task import StageTask


class ChunkRunner:
    """Runs chunks through stages, many at a time.

    Chunk 0, the first of the source's, is the scout of all: the other chunks wait for the gate on it, but for those
    that may go ahead. Rewrites and later draws have no scout, so all of them go ahead.
    """

    def __init__(
        self, run: Driver, gates: Gates, stages: Sequence[StageTask], chunks: Sequence[Chunk], concurrency: Concurrency
    ) -> None:
        self._run, self._gates, self._stages = run, gates, stages
        self._ahead, self._last = {chunk.number for chunk in chunks[: concurrency.ahead]}, chunks[-1].number
        self._dispatcher = run.context.session.dispatcher
        self._passed: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._refused_before = frozenset(self._dispatcher.refused_ranks)

    async def run(self, chunk: Chunk) -> Chunk:
        """Take one chunk through the stages; with a budget, only the scout's answers tell what later stages take.

        Where the budget does not reach for a call, no further chunk is begun; those on their way continue with what was
        answered and with what is left for their later stages.

        Raises:
            GateFailedError: If it is the scout, and a gate fails.
        """
        is_ahead = chunk.number in self._ahead
        if not is_ahead and self._dispatcher.has_budget:
            await self._passed[self._stages[-1].name].wait()
        if self._dispatcher.refused_ranks - self._refused_before:
            return chunk
        if chunk.number == self._last and len(self._stages) > 1:
            self._dispatcher.finish_first()
        for task in self._stages:
            if not is_ahead:
                await self._passed[task.name].wait()
                chunk = replace(chunk, after=(*chunk.after, *self._gates.scouts(task.stage)))
            chunk = await self._run.do(task, chunk)
            if chunk.number == 0:
                await self._judge_scout(task, chunk)
        return chunk

    async def _judge_scout(self, task: StageTask, chunk: Chunk) -> None:
        if not self._run.is_spent:  # what the budget left out says nothing of the data
            await self._gates.gate(task.stage, "scout", chunk.after)
        self._passed[task.name].set()
