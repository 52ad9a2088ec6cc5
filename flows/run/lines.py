"""Lines: each chunk of prompts passes along its stages; stages overlap, and each opens when its scout has passed."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from prefect.futures import PrefectFuture

from kasasagi.blocks.workspace.shards import Shard
from kasasagi.flows.run.doing import Doing
from kasasagi.flows.run.driver import CHUNKS_OF_ORIGINALS, Line, Rows, carried
from kasasagi.flows.run.room import CHUNKS_IN_WORK, Room, all_or_none
from kasasagi.tasks.filter.stage import ORIGINALS
from kasasagi.tasks.stage_task import StageTask


class Lines:
    """The chunks of some prompts on their way, the first as the scout of all unless they are rewrites.

    The outcomes of rewrites do not predict those of the originals, so rewrites have no scout.
    """

    def __init__(self, run: Doing, chunks: Sequence[Shard], room: Room, rows: Rows) -> None:
        self.run = run
        self.part = rows.part
        self.after = (*rows.after, *run.judging.passed)
        self.passed: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self.room = room if rows.part == ORIGINALS else Room(len(chunks), CHUNKS_IN_WORK)
        self._chunks = chunks
        self._lines: list[ActiveLine] = []
        self._scouted = asyncio.Event()

    async def all(self, one: Callable[[Line], Awaitable[None]]) -> None:
        """Take every chunk along its line. Raises GateFailedError."""
        self._lines = [ActiveLine(self, number, chunk) for number, chunk in enumerate(self._chunks)]
        await all_or_none((self._each(one, line) for line in self._lines), self.room.at_once)

    async def _each(self, one: Callable[[Line], Awaitable[None]], line: "ActiveLine") -> None:
        """Take one chunk along its line; with a budget, only the scout's answers tell what later stages take."""
        dispatcher = self.run.context.session.dispatcher
        if not line.is_ahead and dispatcher.has_budget:
            await self._scouted.wait()
        if dispatcher.refused_by is not None:
            return
        await one(line)
        if line.number == 0:
            self._scouted.set()

    def made(self, task: StageTask) -> list[Shard | None]:
        """What a stage made of each chunk."""
        return [line.made.get(task.name) for line in self._lines]

    def futures(self, task: StageTask) -> tuple[PrefectFuture[Any], ...]:
        """The task run of each chunk in a stage."""
        return tuple(line.futures[task.name] for line in self._lines if task.name in line.futures)


class ActiveLine:
    """One chunk of prompts on its way."""

    def __init__(self, lines: Lines, number: int, prompts: Shard) -> None:
        self.number = number
        self.is_ahead = number < lines.room.ahead
        self.made: dict[str, Shard | None] = {}
        self.futures: dict[str, PrefectFuture[Any]] = {}
        self._after = lines.after
        self._lines = lines
        self._inputs = {"prompts": prompts}

    async def through(self, task: StageTask) -> None:
        """Take the chunk through a stage, once its scout has passed. Raises GateFailedError where this is the scout."""
        lines, run = self._lines, self._lines.run
        if not task.stage.wanted(run.context.recipe):
            return
        passed = lines.passed[task.name]
        if not self.is_ahead:
            await passed.wait()
        number = self.number + CHUNKS_OF_ORIGINALS * lines.part
        inputs = {**self._inputs, **task.how.more_inputs(run.context, lines.part)}
        opened = [] if self.is_ahead else run.judging.scouts(task.stage)
        handle = (await run.do(task, task.job(run.context, number, inputs), (*self._after, *opened))).handle
        self.made[task.name], self.futures[task.name] = task.made(handle), run.futures[task.name][number]
        self._after = (self.futures[task.name],)
        self._inputs |= carried(handle)
        if lines.part == ORIGINALS:
            run.watch(handle)
            if self.number == 0:
                await self._scout(task)
                passed.set()

    async def _scout(self, task: StageTask) -> None:
        run = self._lines.run
        if run.context.session.dispatcher.refused_by is None:  # what the budget left out says nothing of the data
            await run.judging.gate(task.stage, "scout", self._after)
