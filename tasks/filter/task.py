"""The task that filters prompts: those of the source, and later the rewrites that are made of them."""

import time
from typing import Any

import duckdb

from kasasagi.blocks.tables import quoted
from kasasagi.blocks.workspace.shards import Account, Handle, Shard
from kasasagi.tasks.asking import ChunkJob
from kasasagi.tasks.context import Context
from kasasagi.tasks.filter import FilterResult, filter_digest
from kasasagi.tasks.filter import filter_prompts as filtered
from kasasagi.tasks.filter.duplicates.published import published_keys
from kasasagi.tasks.filter.stage import FILTER, REWRITES
from kasasagi.tasks.rewrite.config import ORIGIN
from kasasagi.tasks.stage_task import Chunking, stage_task


def key_parts(context: Context, job: ChunkJob) -> list[Any]:
    """Return what decides which prompts pass: the rules and conditions, and how many are wanted."""
    config = filter_digest(context.early_filter, context.base, context.recipe.default_rules)
    if job.chunk == REWRITES:
        return [config, "rewrites"]
    return [config, context.target, *(["refined"] if context.recipe.is_refined else [])]


def published(context: Context, part: int) -> dict[str, Shard]:
    """Return the keys of prompts that were published before, if they are left out."""
    if part == REWRITES or not context.recipe.filter.dedup.published:
        return {}
    return {"published": published_keys(context.session.run.workspace, context.recipe.name)}


@stage_task(FILTER, Chunking(key_parts, makes=("filtered", "prompts"), reads="loaded", more_inputs=published))
def filter_prompts(context: Context, job: ChunkJob) -> Handle:
    """Reject prompts by rules, conditions and likeness to other prompts; the rest is one table."""
    started = time.monotonic()
    if job.chunk == REWRITES:
        return _filter_rewrites(context, job, started)
    store, before = context.session.run.workspace.shards, job.inputs.get("published")
    published = store.path(before) if before else None
    loaded, rules = store.path(job.inputs["loaded"]), context.recipe.default_rules
    result = filtered(context.early_filter, loaded, context.scratch(job), context.base, rules, published)
    if context.recipe.is_refined:
        return context.adopted(job, result, "filtered", time.monotonic() - started)
    target = context.target
    if target is not None and result.rows_out > target:
        result = _without_surplus(result, target)
    return context.adopted(job, result, "prompts", time.monotonic() - started)


def _filter_rewrites(context: Context, job: ChunkJob, started: float) -> Handle:
    """Filter the rewrites: they stand behind the originals, which pass again, and only they are counted here."""
    loaded, rules = context.path(job.inputs["loaded"]), context.recipe.default_rules
    result = filtered(context.early_filter, loaded, context.scratch(job), context.base, rules)
    of_rewrites = f"SELECT * FROM read_parquet({quoted(result.prompts)}) WHERE {ORIGIN} IS NOT NULL ORDER BY position"
    kept, rejected = context.written(of_rewrites), context.session.run.workspace.shards.adopt(result.quarantine)
    account = Account(
        rows_in=kept.rows + rejected.rows,
        rows_out=kept.rows,
        quarantined=rejected.rows,
        seconds=time.monotonic() - started,
    )
    shards = {"filtered": kept, "quarantine": rejected}
    return Handle(stage=job.stage, chunk=job.chunk, run=job.run, shards=shards, account=account)


def _without_surplus(result: FilterResult, target: int) -> FilterResult:
    """Return the first accepted prompts, as many as are wanted; the rest is rejected as surplus."""
    into = result.prompts.parent
    kept, rejected = into / "kept.parquet", into / "aside.parquet"
    with duckdb.connect(":memory:") as connection:
        # The offset is the survivors' alone: behind the union it would drop the first rows of all.
        source = f"read_parquet({quoted(result.prompts)})"
        first = f"SELECT * FROM {source} ORDER BY position LIMIT {target}"
        connection.execute(f"COPY ({first}) TO {quoted(kept)} (FORMAT parquet)")
        connection.execute(
            f"""COPY (
                SELECT * FROM read_parquet({quoted(result.quarantine)}) UNION ALL BY NAME
                (SELECT 'filter' AS stage, prompt_id AS row_id, 'surplus' AS reason,
                        'more were accepted than the target of {target}' AS detail,
                        to_json(p)::VARCHAR AS payload, position
                 FROM {source} AS p ORDER BY position OFFSET {target})
                ORDER BY position
            ) TO {quoted(rejected)} (FORMAT parquet)"""
        )
    quarantined = result.quarantined + result.rows_out - target
    return FilterResult(result.rows_in, target, quarantined, kept, rejected)
