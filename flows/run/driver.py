"""What takes rows through the stages: a run that asks models, or a plan that only looks into the ledger."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import count
from typing import Any

from kasasagi.blocks.workspace.chunks import MOST_CHUNKS, prompt_blocks, prompt_chunks
from kasasagi.blocks.workspace.shards import Handle, Shard
from kasasagi.tasks.asking import ChunkJob
from kasasagi.tasks.context import Context, activate
from kasasagi.tasks.filter.stage import ORIGINALS, REWRITES
from kasasagi.tasks.format_dpo.target import PairsMade, blocks_between
from kasasagi.tasks.recipe import Recipe
from kasasagi.tasks.rewrite.task import join_prompts
from kasasagi.tasks.stage_task import StageTask
from kasasagi.tasks.stage_tasks import tasks_of
from kasasagi.tasks.synthesize.counting import chunks_of_draws, draws_wanted
from kasasagi.tasks.synthesize.draws import prompts_from_draws

CHUNKS_OF_ORIGINALS = 100_000
"""From this number on the chunks of a stage are those of rewritten prompts."""
KEPT_ASIDE = ("quarantine", "calls")
"""Tables of a chunk that no later stage reads."""


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
        wave: The places of those that are meant; None where all are.
    """

    shard: Shard | None = None
    unknown: int = 0
    made: Mapping[str, Shard] = field(default_factory=dict)
    part: int = ORIGINALS
    beside: int = 0
    after: tuple[Any, ...] = ()
    wave: range | None = None

    @property
    def count(self) -> int:
        """How many rows there are, at most."""
        return len(self.wave) if self.wave is not None else (self.shard.rows if self.shard else 0) + self.unknown

    def as_rewrites(self, of: "Rows") -> "Rows":
        """Return the same rows, as rewrites of others."""
        return replace(self, part=REWRITES, beside=of.count)


@dataclass(frozen=True)
class Chunk:
    """One chunk of rows on its way through stages.

    Attributes:
        number: Its number within each of its stages.
        inputs: The shards that stages read, by table, with what the stages so far have made.
        part: Whether its rows are the source's or rewrites of them.
        params: Numbers that its first stage needs besides, such as the first draw.
        unknown: In a plan, how many of its prompts have a question without an answer.
        after: The task runs of Prefect that it comes from, in a run.
        handle: The result of the stage that did it last.
    """

    number: int = 0
    inputs: Mapping[str, Shard] = field(default_factory=dict)
    part: int = ORIGINALS
    params: Mapping[str, int] = field(default_factory=dict)
    unknown: int = 0
    after: tuple[Any, ...] = ()
    handle: Handle | None = None

    def done(self, handle: Handle, after: Sequence[Any] = ()) -> "Chunk":
        """Return the chunk behind a stage: it continues with what the stage made."""
        made = {name: shard for name, shard in handle.shards.items() if name not in KEPT_ASIDE}
        return replace(self, inputs={**self.inputs, **made}, after=tuple(after), handle=handle)

    def made(self, task: StageTask) -> Shard | None:
        """Return what a stage, the last that did it, made of it."""
        return None if self.handle is None else task.made(self.handle)


class Driver(ABC):
    """Takes rows through the stages of one run or plan."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.draws: list[Chunk] = []
        """The chunks of instructions drawn so far."""

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

    async def source(self, task: StageTask) -> Rows:
        """Load the source's rows."""
        self.expect(task, 1)
        loaded = await self.do(task, Chunk())
        return Rows(loaded.made(task), after=loaded.after)

    async def whole(self, task: StageTask, rows: Rows, *beside: Rows) -> Rows:
        """Take all rows through a stage that sees them at once, with what earlier stages made of them beside."""
        if not task.stage.wanted(self.recipe):
            return rows
        if (unknown := next((one for one in (*reversed(beside), rows) if one.shard is None), None)) is not None:
            return replace(rows, shard=None, unknown=unknown.unknown, made={})
        assert rows.shard is not None
        self.expect(task, rows.part + 1)
        inputs = {task.how.reads: rows.shard, **{name: shard for other in beside for name, shard in other.made.items()}}
        after = dict.fromkeys(future for other in (rows, *beside) for future in other.after)
        chunk = Chunk(rows.part, inputs, rows.part, after=(*after, *self.gates_passed))
        done = await self.do(task, chunk)
        return replace(rows, shard=done.made(task), made={}, after=done.after)

    @abstractmethod
    async def run_chunks(self, stages: StageTask | Sequence[StageTask], rows: Rows) -> Rows:
        """Take rows through one stage or several chunk by chunk; what the recipe leaves out passes them on."""

    async def until_target(self, synthesize: StageTask, choose: Callable[[Rows], Awaitable[Rows]]) -> Rows:
        """Draw instructions in waves until as many as wanted are chosen, or plainly never will be.

        Draws are accepted in the order of their numbers and the earlier wins, so that more draws only add. Raises
        GateFailedError where too few are accepted.
        """
        source, prompts, drawn = self.context.magpie, Rows(), 0
        if self.draws:
            prompts, drawn = await choose(await self.drawn(synthesize)), self.draws[-1].params["stop"]
        while (draws := draws_wanted(source, drawn, prompts.count)) > drawn:
            chunks = draw_chunks(drawn, draws, len(self.draws))
            prompts = await choose(await self.draw(synthesize, chunks, prompts.count))
            if prompts.shard is None or not await self.accept(draws, prompts.count):
                break
            drawn = draws
        return prompts

    @abstractmethod
    async def draw(self, synthesize: StageTask, chunks: Sequence[Chunk], accepted: int) -> Rows:
        """Add draws to those so far, of which so many were accepted, and return all of them as prompts."""

    async def accept(self, drawn: int, accepted: int) -> bool:
        """Judge the yield of all draws so far, in a run, and return whether more may follow. Raises GateFailedError."""
        return True

    async def waves(self, prompts: Rows, more: Callable[[], Awaitable[Rows]]) -> AsyncIterator[Rows]:
        """Yield the prompts at once; with a target of pairs in waves of whole blocks, until so many pairs stand.

        Where a model invents the prompts, `more` returns them with further ones, as many as the context asks for.
        """
        taken = 0
        while (wanted := self.wave_end(taken)) > taken:
            while not self.is_spent and (further := self.context.asking_for(wanted, prompts.count)) is not None:
                self.context = further
                with activate(further):
                    prompts = await more()
            wave = range(taken, min(wanted, self.context.usable(prompts.count)))
            if not wave:
                break
            yield replace(prompts, wave=wave)
            taken = wave.stop
        if self.recipe.pairs.target is None:
            yield prompts

    def wave_end(self, taken: int) -> int:
        """Return where the next wave of prompts ends; `taken` where none follows, as none does without a budget."""
        target = None if self.is_spent else self.recipe.pairs.target
        return PairsMade.of(self.context.session.run).prompts_wanted(target, taken)

    @property
    def is_spent(self) -> bool:
        """Whether the budget did not reach for a call, so that rows are missing."""
        return self.context.session.dispatcher.refused_by is not None

    @abstractmethod
    def end_if_nothing_is_new(self, prompts: Rows) -> None:
        """End a run that was to publish only what is new, where nothing is."""

    @abstractmethod
    async def gates(self, *tasks: StageTask) -> None:
        """Judge stages on all their rows. Raises GateFailedError."""

    @property
    def gates_passed(self) -> tuple[Any, ...]:
        """The task runs of the gates on whole stages so far, in a run."""
        return ()

    @abstractmethod
    def expect(self, task: StageTask, chunks: int) -> None:
        """Say how many chunks a stage has."""

    @abstractmethod
    async def do(self, task: StageTask, chunk: Chunk) -> Chunk:
        """Take a chunk through a stage."""

    def job(self, task: StageTask, chunk: Chunk) -> ChunkJob:
        """Return a chunk as a stage gets it."""
        inputs = {**chunk.inputs, **task.how.more_inputs(self.context, chunk.part)}
        return task.job(self.context, chunk.number, inputs, **chunk.params)

    def taking(self, stages: StageTask | Sequence[StageTask], rows: Rows) -> list[StageTask]:
        """Return those of some stages that the recipe has for some rows."""
        named = [stages] if isinstance(stages, StageTask) else stages
        wanted = [one for one in named if one.stage.wanted(self.recipe)]
        return [one for one in wanted if one.stage.of_rewrites or rows.part == ORIGINALS]

    async def split(self, stages: Sequence[StageTask], rows: Rows) -> list[Chunk]:
        """Return rows as chunks of the first of some stages, with all that these need."""
        if rows.shard is None:
            return []
        most = MOST_CHUNKS if self.recipe.runtime is None else self.recipe.runtime.most_chunks
        leave_out = not any(task.how.keeps_origin(self.context) for task in stages)
        run, after = self.context.session.run, (*rows.after, *self.gates_passed)
        numbers: Iterable[int] = count(CHUNKS_OF_ORIGINALS * (rows.part == REWRITES))
        if rows.wave is None:
            shards = await asyncio.to_thread(prompt_chunks, run, rows.shard, most, leave_out)
        else:
            numbers = places = blocks_between(rows.wave)
            shards = await asyncio.to_thread(prompt_blocks, run, rows.shard, places.values(), leave_out)
        inputs = zip(numbers, ({stages[0].how.reads: shard} for shard in shards), strict=False)
        return [Chunk(number, one, rows.part, after=after) for number, one in inputs]

    async def gather(self, task: StageTask, rows: Rows, chunks: Sequence[Chunk]) -> Rows:
        """Return the rows that continue, with what a stage made of them chunk by chunk."""
        assert rows.shard is not None
        shards = made_of(task, chunks)
        shard = await asyncio.to_thread(task.how.gather, self.context, rows.shard, shards)
        tables = {f"{task.how.makes[0]} {number:06}": made for number, made in enumerate(shards)}
        after = tuple(future for chunk in chunks if chunk.handle is not None for future in chunk.after)
        return replace(rows, shard=shard, made=tables, after=after)

    async def with_rewrites(self, rewrites: Rows, originals: Rows) -> Rows:
        """Return the prompts of both parts as one table."""
        after = (*originals.after, *rewrites.after)
        if rewrites.shard is None or originals.shard is None:
            return replace(originals, unknown=originals.unknown + rewrites.unknown, after=after)
        shard = await asyncio.to_thread(join_prompts, self.context, originals.shard, rewrites.shard)
        return Rows(shard, after=after)

    async def drawn(self, task: StageTask) -> Rows:
        """Return the prompts of the draws so far."""
        shards = made_of(task, self.draws)
        shard = await asyncio.to_thread(prompts_from_draws, self.context.session, self.context.magpie, shards)
        return Rows(shard, after=tuple(future for chunk in self.draws for future in chunk.after))


def draw_chunks(drawn: int, draws: int, first: int) -> list[Chunk]:
    """Return further draws as chunks that are numbered from the first one on."""
    parts = enumerate(chunks_of_draws(drawn, draws), first)
    return [Chunk(number, params={"start": part.start, "stop": part.stop}) for number, part in parts]


def made_of(task: StageTask, chunks: Sequence[Chunk]) -> list[Shard]:
    """Return what a stage made of each chunk, where it left any rows."""
    return [shard for chunk in chunks if (shard := chunk.made(task)) is not None]
