"""What takes rows through the stages: a run that asks models, or a plan that only looks into the ledger."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

from kasasagi.blocks.workspace.shards import Handle, Shard
from kasasagi.tasks.context import Context
from kasasagi.tasks.filter.stage import ORIGINALS, REWRITES
from kasasagi.tasks.recipe import Recipe
from kasasagi.tasks.rewrite.task import join_prompts
from kasasagi.tasks.stage_task import StageTask
from kasasagi.tasks.stage_tasks import tasks_of

CHUNKS_OF_ORIGINALS = 100_000
"""From this number on the chunks of a stage are those of rewritten prompts."""


@dataclass(frozen=True)
class Rows:
    """Rows between two stages.

    Attributes:
        shard: The rows that are known; None where none are.
        unknown: In a plan, the largest number of further rows that do not exist yet.
        made: What a stage made of them chunk by chunk, by table and number, for a later stage that joins it.
        part: Whether they are the source's or rewrites of them.
        beside: How many rows of the other part wait meanwhile to continue with these.
        after: The task runs of Prefect that they come from, in a run.
    """

    shard: Shard | None = None
    unknown: int = 0
    made: Mapping[str, Shard] = field(default_factory=dict)
    part: int = ORIGINALS
    beside: int = 0
    after: tuple[Any, ...] = ()

    @property
    def count(self) -> int:
        """How many rows there are, at most."""
        return (self.shard.rows if self.shard else 0) + self.unknown

    def as_rewrites(self, of: "Rows") -> "Rows":
        """Return the same rows, as rewrites of others."""
        return replace(self, part=REWRITES, beside=of.count)


class PromptChunk(Protocol):
    """One chunk of prompts on its way to pairs."""

    number: int

    async def through(self, task: StageTask) -> None:
        """Take the chunk through a stage; one that the recipe leaves out passes it on."""


class Driver(ABC):
    """Takes rows through the stages of one run or plan."""

    def __init__(self, context: Context) -> None:
        self.context = context

    @cached_property
    def tasks(self) -> tuple[StageTask, ...]:
        """The tasks of all stages in their order, the recipe's own among them."""
        return tasks_of(self.context.recipe, self.context.base)

    def own(self, after: str) -> list[StageTask]:
        """Return the recipe's own stages behind its prompts, or behind respond."""
        names = [entry.name for entry in self.recipe.stages if entry.after == after]
        return [task for task in self.tasks if task.name in names]

    @property
    def recipe(self) -> Recipe:
        """The recipe that is run."""
        return self.context.recipe

    @abstractmethod
    async def source(self, task: StageTask) -> Rows:
        """Load the source's rows."""

    @abstractmethod
    async def whole(self, task: StageTask, rows: Rows, *beside: Rows) -> Rows:
        """Take all rows through a stage that sees them at once, with what earlier stages made of them beside."""

    @abstractmethod
    async def run_chunks(self, task: StageTask, rows: Rows) -> Rows:
        """Take rows through a stage chunk by chunk; one that the recipe leaves out passes them on."""

    @abstractmethod
    async def until_target(self, synthesize: StageTask, choose: Callable[[Rows], Awaitable[Rows]]) -> Rows:
        """Draw instructions in waves until as many as wanted are chosen among them."""

    @abstractmethod
    async def overlap(self, one: Callable[[PromptChunk], Awaitable[None]], rows: Rows) -> None:
        """Take every chunk of some prompts through several stages, many at a time, the first as the scout of all."""

    @abstractmethod
    def end_if_nothing_is_new(self, prompts: Rows) -> None:
        """End a run that was to publish only what is new, where nothing is."""

    @abstractmethod
    async def gates(self, *tasks: StageTask) -> None:
        """Judge stages on all their rows. Raises GateFailedError."""

    def takes(self, task: StageTask, rows: Rows) -> bool:
        """Return whether a stage does anything with some rows."""
        stage = task.stage
        return rows.count > 0 and stage.wanted(self.recipe) and (stage.of_rewrites or rows.part == ORIGINALS)

    def gather(self, task: StageTask, rows: Rows, made: Sequence[Shard | None]) -> Rows:
        """Return the rows that continue, with what a stage made of them chunk by chunk."""
        assert rows.shard is not None
        shards = [shard for shard in made if shard is not None]
        tables = {f"{task.how.makes[0]} {number:06}": shard for number, shard in enumerate(shards)}
        return replace(rows, shard=task.how.gather(self.context, rows.shard, shards), made=tables)

    async def with_rewrites(self, rewrites: Rows, originals: Rows) -> Rows:
        """Return the prompts of both parts as one table."""
        after = (*originals.after, *rewrites.after)
        if rewrites.shard is None or originals.shard is None:
            return replace(originals, unknown=originals.unknown + rewrites.unknown, after=after)
        shard = await asyncio.to_thread(join_prompts, self.context, originals.shard, rewrites.shard)
        return Rows(shard, after=after)


def inputs_of(context: Context, task: StageTask, rows: Rows, *beside: Rows) -> dict[str, Shard]:
    """Return the shards that a stage reads, by table: its rows, and what others made of them."""
    assert rows.shard is not None
    found = {task.how.reads: rows.shard}
    for other in beside:
        found |= other.made
    return {**found, **task.how.more_inputs(context, rows.part)}


def outputs_of(handle: Handle) -> dict[str, Shard]:
    """Return what of a chunk's tables the stages behind it read."""
    return {name: shard for name, shard in handle.shards.items() if name not in ("quarantine", "calls")}


def number_of(rows: Rows, chunk: int) -> int:
    """Return the number of a chunk within its stage."""
    return chunk + CHUNKS_OF_ORIGINALS * (rows.part == REWRITES)
