"""Shared state of a run's stages: recipe, models, session and shard paths."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb

from kasasagi.blocks.models.kinds import extra_body_of, price_of
from kasasagi.blocks.tables import quoted
from kasasagi.blocks.workspace.runs import SCRATCH
from kasasagi.blocks.workspace.shards import Account, Handle, Shard
from kasasagi.tasks.asking import ChunkJob, Session
from kasasagi.tasks.converse.plan import Dialogues, dialogues
from kasasagi.tasks.filter import FilterConfig, FilterResult
from kasasagi.tasks.filter.deferred_conditions import split_where
from kasasagi.tasks.format_dpo.target import block_end, whole_blocks
from kasasagi.tasks.gate.evaluation.gate_process import GateProcess
from kasasagi.tasks.load import LoadResult
from kasasagi.tasks.recipe import Recipe
from kasasagi.tasks.synthesize.config import MagpieSource
from kasasagi.tasks.synthesize.counting import apply_limit
from kasasagi.tasks.synthesize.steering import Steering
from kasasagi.tasks.text.thoughts.own_thinking import forms_of
from kasasagi.tasks.token_counts import TokenCounter, token_counter

MEMORY = "512MB"
"""Memory of each DuckDB that joins shards; it spills into the run's scratch folder."""


@dataclass(frozen=True)
class Context:
    """The context of a run in this process.

    Attributes:
        session: The run's folder, models and dispatcher.
        recipe: What the run does.
        base: The recipe's folder, from which its relative paths start.
        limit: How many rows of the source are read at most; None reads all.
        gate_process: Judges stages beside this process, where there is one.
        asked: With a target of pairs, how many instructions are wanted so far; None where that is one block.
    """

    session: Session
    recipe: Recipe
    base: Path
    limit: int | None = None
    gate_process: GateProcess | None = None
    asked: int | None = None

    @cached_property
    def counter(self) -> TokenCounter | None:
        """Who counts tokens for the student, where the recipe limits them. Raises TokenizerError."""
        limits = self.recipe.pairs.max_tokens
        return None if limits is None else token_counter(limits, self.base)

    @cached_property
    def magpie(self) -> MagpieSource:
        """The source that invents instructions, with as many of them wanted as are so far, within the run's limit."""
        if not isinstance(self.recipe.source, MagpieSource):
            raise TypeError(f"the source is {self.recipe.source.kind}, not magpie")
        asked = self.asked or (None if self.recipe.pairs.target is None else block_end(1))
        return apply_limit(apply_limit(self.recipe.source, self.limit), asked)

    def asking_for(self, prompts: int, there: int) -> "Context | None":
        """Return a context that asks for further instructions; None where enough of them are there, or all there are.

        Args:
            prompts: How many prompts are wanted.
            there: How many prompts those that are asked for so far became.
        """
        asked, most = self.target or 0, self._most_instructions
        if asked == most or self.usable(there) >= prompts:
            return None
        return replace(self, asked=min(max(prompts, block_end(asked + 1)), most))

    def usable(self, prompts: int) -> int:
        """Return how many of the prompts so far are in blocks to which no further instruction adds any."""
        return prompts if (self.target or 0) == self._most_instructions else whole_blocks(prompts)

    @property
    def _most_instructions(self) -> int:
        """How many instructions are invented at most; 0 where the source is a dataset."""
        source = self.recipe.source
        return apply_limit(source, self.limit).target or 0 if isinstance(source, MagpieSource) else 0

    @cached_property
    def steering(self) -> Steering:
        """What the draws of a Magpie source are steered by. Raises SteeringError."""
        source = self.recipe.source
        assert isinstance(source, MagpieSource)
        return Steering.read(source, self.base)

    @cached_property
    def dialogues(self) -> Dialogues | None:
        """How dialogues continue, where the source wants several turns."""
        return dialogues(self.recipe.source, self.recipe.filter.rules)

    @property
    def target(self) -> int | None:
        """How many accepted instructions are wanted of a model that invents them, if the recipe limits them."""
        return self.magpie.target if isinstance(self.recipe.source, MagpieSource) else None

    @cached_property
    def where(self) -> list[dict[str, str]]:
        """The conditions of the filter: those that it can test itself, those on tags, those on neighbours."""
        return split_where(self.recipe.filter.where, [self.recipe.tag_columns, self.recipe.neighbor_columns])

    @property
    def early_filter(self) -> FilterConfig:
        """The filter without the conditions that need columns of later stages."""
        return self.recipe.filter.model_copy(update={"where": self.where[0]})

    @cached_property
    def provided(self) -> Shard | None:
        """The responses that the source holds, once it is loaded; None where all are asked for."""
        if not (self.recipe.responses_provided or self.recipe.chooses_source):
            return None
        loads = [one.handle for one in self.session.run.handles() if one.handle.stage == "load"]
        return loads[-1].shards["given"]

    def model_digest(self, label: str) -> list[Any]:
        """Return the parts of a model that determine its answers and their price, for a cache key."""
        model = self.recipe.models[label]
        price = price_of(model).keyed()
        thinks = [[[form.begin, form.end] for form in forms] for forms in [forms_of(model, self.base)] if forms]
        return [self.session.identities[label], model.sampling.parameters(), extra_body_of(model), price, *thinks]

    def path(self, shard: Shard) -> Path:
        """Return the file of a shard."""
        return self.session.run.workspace.shards.path(shard)

    def scratch(self, job: ChunkJob) -> Path:
        """Return a new empty folder for the files of a chunk."""
        return self.scratch_folder(f"{job.stage}-{job.chunk}")

    def scratch_folder(self, name: str) -> Path:
        """Return a new empty folder in the run's scratch folder, which is removed when the run ends."""
        into = self.session.run.folder / SCRATCH / name
        shutil.rmtree(into, ignore_errors=True)
        into.mkdir(parents=True)
        return into

    def written(self, query: str) -> Shard:
        """Return the rows of a query over shards' files as a shard."""
        with duckdb.connect(":memory:") as connection:
            folder = quoted(self.session.run.folder / SCRATCH)
            connection.execute(f"SET memory_limit = '{MEMORY}'; SET temp_directory = {folder}")
            reader = connection.sql(query).to_arrow_reader(8192)
            return self.session.run.workspace.shards.write(iter(reader), reader.schema)

    def adopted(self, job: ChunkJob, result: FilterResult | LoadResult, name: str, seconds: float) -> Handle:
        """Return the handle of a chunk that left two files: prompts, kept under a name, and rejected rows."""
        store = self.session.run.workspace.shards
        folder = result.prompts.parent
        shards = {name: store.adopt(result.prompts), "quarantine": store.adopt(result.quarantine)}
        account = Account(
            rows_in=result.rows_in, rows_out=result.rows_out, quarantined=result.quarantined, seconds=seconds
        )
        shutil.rmtree(folder, ignore_errors=True)
        return Handle(stage=job.stage, chunk=job.chunk, run=job.run, shards=shards, account=account)


class NoRunError(RuntimeError):
    """A stage's task was called where no run is open."""


_CURRENT: ContextVar[Context | None] = ContextVar("context", default=None)


def current() -> Context:
    """Return the context of the run that calls this. Raises NoRunError."""
    context = _CURRENT.get()
    if context is None:
        raise NoRunError('a stage works in a run: call it inside "async with open_run(recipe) as run:"')
    return context


@contextmanager
def activate(context: Context) -> Iterator[Context]:
    """Make a context the current one of this thread, and of the tasks that Prefect starts from it."""
    token = _CURRENT.set(context)
    try:
        yield context
    finally:
        _CURRENT.reset(token)
