"""The task that draws instructions, and how many of them a chunk yields."""

import shutil
from collections import Counter
from pathlib import Path
from typing import Any, Literal

import pyarrow.parquet as pq

from kasasagi.blocks.workspace.shards import Handle
from kasasagi.tasks.asking import ChunkJob
from kasasagi.tasks.context import Context
from kasasagi.tasks.filter import FilterConfig, filter_prompts
from kasasagi.tasks.gate.outcome import Outcome
from kasasagi.tasks.stage_task import Chunking, stage_task
from kasasagi.tasks.synthesize.config import MagpieSource
from kasasagi.tasks.synthesize.counting import DRAWS_IN_A_CHUNK
from kasasagi.tasks.synthesize.draws import prompts_table, synthesize_chunk
from kasasagi.tasks.synthesize.stage import SYNTHESIZE
from kasasagi.tasks.synthesize.templates import template_key
from kasasagi.tasks.synthesize.yields import Yield, remedy

UNKEYED = {"target", "samples", "min_yield", "turns"}
"""Keys of the source that do not change what a draw asks."""


def _source(context: Context) -> MagpieSource:
    source = context.recipe.source
    assert isinstance(source, MagpieSource)
    return source


def key_parts(context: Context, job: ChunkJob) -> list[Any]:
    """Return what decides the draws of a chunk: the source, what steers it, the model, and the draws' numbers."""
    source, start, stop = _source(context), job.params["start"], job.params["stop"]
    config = source.keyed(UNKEYED)
    model = [*context.model_digest(source.model), *template_key(context.session, source)]
    usual = start == job.chunk * DRAWS_IN_A_CHUNK  # as all were that earlier versions drew
    return [config, context.steering.digest, model, stop, *([] if usual else [start])]


@stage_task(SYNTHESIZE, Chunking(key_parts, makes=("draws",)))
def synthesize(context: Context, job: ChunkJob) -> Handle:
    """Draw one chunk of instructions from a model that is given only what stands before a user's words (Magpie)."""
    return synthesize_chunk(context.session, context.steering, job, range(job.params["start"], job.params["stop"]))


def yield_of(context: Context, chunk: Handle) -> Yield:
    """Return what the rules and conditions accept of a chunk of draws, before duplicates in other chunks are known."""
    rejected = reasons_in(context, chunk)
    if "draws" not in chunk.shards:
        return Yield(chunk.account.rows_in, 0, rejected)
    into = context.scratch_folder(f"yield-{chunk.chunk}")
    draws = prompts_table(_source(context), context.session.run.workspace.shards.read(chunk.shards["draws"]))
    pq.write_table(draws, into / "draws.parquet")
    config = FilterConfig(**{name: getattr(context.early_filter, name) for name in ("rules", "where", "columns")})
    result = filter_prompts(config, into / "draws.parquet", into, context.base, context.recipe.default_rules)
    rejected += Counter(_reasons(result.quarantine))
    shutil.rmtree(into, ignore_errors=True)
    return Yield(chunk.account.rows_in, result.rows_out, rejected)


def missed_floor(total: Yield, floor: float, scope: Literal["scout", "whole"]) -> Outcome:
    """Return the outcome of a yield that lies under the source's floor."""
    return Outcome(
        stage=SYNTHESIZE.name,
        scope=scope,
        expectation="min_yield",
        severity="critical",
        success=False,
        observed=f"{total.accepted:,} accepted of {total.draws:,} draws ({total.share:.1%})",
        detail=remedy(total, floor),
    )


def reasons_in(context: Context, chunk: Handle) -> Counter[str]:
    """Return how often a chunk has rejected rows for each reason."""
    quarantine = chunk.shards.get("quarantine")
    return Counter(_reasons(context.path(quarantine)) if quarantine is not None else ())


def _reasons(quarantine: Path) -> list[str]:
    return list(pq.read_table(quarantine, columns=["reason"]).column(0).to_pylist())
