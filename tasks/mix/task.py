"""The task that mixes: it takes as many pairs of each part as its share, with all that belongs to their prompts."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kasasagi.blocks.workspace.shards import Account, Handle, Shard
from kasasagi.tasks.asking import ChunkJob
from kasasagi.tasks.context import Context
from kasasagi.tasks.mix.about import part_row
from kasasagi.tasks.mix.config import RunsSource
from kasasagi.tasks.mix.parts import part_runs
from kasasagi.tasks.mix.rows import PartRows, joined
from kasasagi.tasks.mix.shares import pairs_of_parts
from kasasagi.tasks.mix.stage import MIX
from kasasagi.tasks.stage_task import Chunking, stage_task
from kasasagi.tasks.tables import table


def source_of(context: Context) -> RunsSource:
    """Return the parts that the recipe names."""
    source = context.recipe.source
    if not isinstance(source, RunsSource):
        raise TypeError(f"the source is {source.kind}, and no runs are mixed")
    return source


def key_parts(context: Context, job: ChunkJob) -> list[Any]:
    """Return what decides which pairs are taken: the parts with their shares, and the limit."""
    return [source_of(context).keyed(), context.limit]


@stage_task(MIX, Chunking(key_parts, makes=("prompts",)))
def mix_pairs(context: Context, job: ChunkJob) -> Handle:
    """Take the pairs of the prompts that are left, part by part, each as many as its share."""
    started, into, source = time.monotonic(), context.scratch(job), source_of(context)
    prompts = context.path(job.inputs["prompts"])
    parts = part_runs(source, context.session.run.workspace, context.base)
    rows = [PartRows(part, prompts, into) for part in parts]
    counts = {one.part.name: one.count() for one in rows}
    left = {name: count for name, (_, count) in counts.items()}
    taken = pairs_of_parts(source, left, context.limit)
    for one in rows:
        one.write(taken[one.part.name])
    shards = _shards(context, into, prompts)
    about = [part_row(one, *counts[one.name], taken[one.name]) for one in parts]
    shards["mix_parts"] = context.session.run.workspace.shards.write(table("mix_parts", about))
    return Handle(stage=job.stage, chunk=job.chunk, run=job.run, shards=shards, account=_account(left, taken, started))


def _shards(context: Context, into: Path, prompts: Path) -> dict[str, Shard]:
    """Return the tables of all parts together, those that have rows."""
    written = {name: context.written(query) for name, query in joined(into, prompts).items()}
    return {name: shard for name, shard in written.items() if shard.rows}


def _account(left: Mapping[str, int], taken: Mapping[str, int], started: float) -> Account:
    """Return how many pairs came in and went out."""
    rows_in, rows_out = sum(left.values()), sum(taken.values())
    seconds = time.monotonic() - started
    return Account(rows_in=rows_in, rows_out=rows_out, quarantined=rows_in - rows_out, seconds=seconds)
