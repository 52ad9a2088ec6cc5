"""How many chunks are in work at once, and how their task runs are awaited."""

import asyncio
import math
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from prefect.exceptions import CancelledRun
from prefect.futures import PrefectFuture

from kasasagi.blocks.dispatch.dispatcher import StoppedError
from kasasagi.blocks.models.kinds import OpenAIModel, VLLMModel
from kasasagi.blocks.workspace.chunks import MOST_CHUNKS
from kasasagi.flows.run.driver import Chunk
from kasasagi.tasks.asking import Session
from kasasagi.tasks.context import Context
from kasasagi.tasks.stage import Stage

CHUNKS_IN_WORK = 16
CHUNKS_AT_LEAST = 4
BUFFERED = 5
TURNS_SLOTS = 10_000
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
        places = {place for label in stage.models(context.recipe) for place in _places(session, label)}
        needed = math.ceil(BUFFERED * sum(slots for _, slots in places) / calls)
        at_once = min(CHUNKS_IN_WORK, max(CHUNKS_AT_LEAST, needed + 2))
        if session.dispatcher.has_budget:  # the first chunk, which opens the gates, is paid for first
            return cls(1, at_once)
        if any(isinstance(model, OpenAIModel) and model.batch for model in session.models.values()):
            return cls(max(2, needed), MOST_CHUNKS)  # all that may be asked goes into one batch
        return cls(max(2, needed), at_once)


def _places(session: Session, label: str) -> list[tuple[str, int]]:
    """Return where a model is asked, and how many calls begin there at once; models at one address share its limit."""
    model = session.models[label]
    if isinstance(model, OpenAIModel):
        return [] if model.batch else [(address, model.first_concurrency(address)) for address in model.addresses]
    return [(session.identities[label], TURNS_SLOTS if _takes_turns(session) else model.batch_size)]


def _takes_turns(session: Session) -> bool:
    """Return whether several models of the run take turns on a device: then many chunks wait, so that turns
    are rare.
    """
    own = {session.identities[label] for label, model in session.models.items() if isinstance(model, VLLMModel)}
    return len(own) > 1


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
