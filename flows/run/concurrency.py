"""How many chunks are in work at once, and how their task runs are awaited."""

import asyncio
import math
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from prefect.exceptions import CancelledRun
from prefect.futures import PrefectFuture

from kasasagi.blocks.dispatch.dispatcher import StoppedError
from kasasagi.blocks.dispatch.limits.slots import calls_at_once
from kasasagi.blocks.models.kinds import OpenAIModel
from kasasagi.blocks.workspace.chunks import MOST_CHUNKS
from kasasagi.flows.run.driver import Chunk
from kasasagi.tasks.context import Context
from kasasagi.tasks.stage import Stage

CHUNKS_IN_WORK = 16
CHUNKS_AT_LEAST = 4
BUFFERED = 5
Given = TypeVar("Given")
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Concurrency:
    """How many chunks keep the endpoints of some models busy, and no more.

    Attributes:
        ahead: How many chunks may precede a gate's verdict on the first.
        at_once: How many chunks may be in work at once.
    """

    ahead: int = CHUNKS_IN_WORK
    at_once: int = CHUNKS_IN_WORK

    @classmethod
    def of(cls, context: Context, stage: Stage, chunks: Sequence[Chunk]) -> "Concurrency":
        """Return the concurrency for chunks that a stage is the first to take."""
        session = context.session
        rows = max((shard.rows for chunk in chunks for shard in chunk.inputs.values()), default=1)
        calls = max(1, stage.calls_each(context.recipe) * rows)
        slots = calls_at_once(session.models, session.identities, stage.models(context.recipe))
        needed = math.ceil(BUFFERED * slots / calls)
        at_once = min(CHUNKS_IN_WORK, max(CHUNKS_AT_LEAST, needed + 2))
        if session.dispatcher.has_budget:  # the first chunk, which opens the gates, is paid for first
            return cls(1, at_once)
        if any(isinstance(model, OpenAIModel) and model.batch for model in session.models.values()):
            return cls(max(2, needed), MOST_CHUNKS)  # all that may be asked goes into one batch
        return cls(max(2, needed), at_once)


async def result_of(future: PrefectFuture[Any]) -> Any:
    """Return the result of a submitted task, without blocking the flow's loop; raises what the task raised."""
    loop = asyncio.get_running_loop()
    done = asyncio.Event()

    def wake(_: PrefectFuture[Any]) -> None:
        loop.call_soon_threadsafe(done.set)

    future.add_done_callback(wake)
    await done.wait()
    try:
        return future.result()
    except CancelledRun as error:
        raise StoppedError(f"{future.task_run_id} was stopped") from error


async def gather_bounded(
    work: Callable[[Given], Coroutine[Any, Any, Made]], items: Iterable[Given], at_once: int
) -> list[Made]:
    """Do work on items in their order, `at_once` at a time; the first error cancels the rest and is raised."""
    places = asyncio.Semaphore(at_once)

    async def in_its_place(item: Given) -> Made:
        async with places:
            return await work(item)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(in_its_place(item)) for item in items]
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from None
    return [task.result() for task in tasks]
