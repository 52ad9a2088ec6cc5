"""The task that rewrites prompts, and how rewrites and originals become one table."""

from collections.abc import Sequence
from typing import Any

import pyarrow.parquet as pq

from kasasagi.blocks.tables import quoted
from kasasagi.blocks.workspace.shards import Handle, Shard
from kasasagi.tasks.asking import ChunkJob
from kasasagi.tasks.context import Context
from kasasagi.tasks.rewrite.config import METHOD, ORIGIN, RewriteConfig
from kasasagi.tasks.rewrite.stage import REWRITE
from kasasagi.tasks.rewrite.write import rewrite_chunk
from kasasagi.tasks.stage import TEMPLATE_TOKENS_GUESSED, Guess
from kasasagi.tasks.stage_task import Chunking, stage_task

_OWN = ("prompt_id", "messages", "instruction", "finish_reason")


def _config(context: Context) -> RewriteConfig:
    assert context.recipe.rewrite is not None
    return context.recipe.rewrite


def key_parts(context: Context, job: ChunkJob) -> list[Any]:
    """Return what decides the rewrites: the configuration and the model."""
    config = _config(context)
    return [[config.keyed(), context.model_digest(config.model)]]


def at_most(context: Context, prompts: int) -> list[Guess]:
    """Return one call for each prompt and method."""
    config = _config(context)
    calls = yields(context, prompts)
    return [Guess(config.model, calls, calls * TEMPLATE_TOKENS_GUESSED, config.sampling.max_tokens)]


def together(context: Context, prompts: Shard, made: Sequence[Shard]) -> Shard | None:
    """Return the prompts followed by their rewrites, or None if nothing was rewritten.

    Rewrites have the source columns of their origins.
    """
    if not sum(shard.rows for shard in made):
        return None
    path = context.path(prompts)
    recipe = context.recipe
    added = {*recipe.filter.columns, *recipe.stage_columns}
    kept = [name for name in pq.read_schema(path).names if name not in added]
    source = f"read_parquet({quoted(path)})"
    files = ", ".join(quoted(context.path(shard)) for shard in made)
    return context.written(
        f"SELECT {', '.join(map(_name, kept))}, NULL::VARCHAR AS {ORIGIN}, NULL::VARCHAR AS {METHOD} FROM {source} "
        f"UNION ALL BY NAME SELECT {', '.join(_of_rewrite(name, source) for name in kept)}, r.{ORIGIN}, r.{METHOD} "
        f"FROM read_parquet([{files}]) AS r "
        f"JOIN (SELECT DISTINCT ON (prompt_id) * FROM {source} ORDER BY prompt_id, position) AS o "
        f"ON o.prompt_id = r.{ORIGIN} ORDER BY position"
    )


def join_prompts(context: Context, originals: Shard, rewrites: Shard) -> Shard:
    """Return the prompts of two tables as one; a column that one of them lacks is NULL there."""
    files = f"[{quoted(context.path(originals))}, {quoted(context.path(rewrites))}]"
    return context.written(f"SELECT * FROM read_parquet({files}, union_by_name = true) ORDER BY position")


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _of_rewrite(column: str, source: str) -> str:
    """SQL for a rewrite's value of a column: its own, its place behind all originals, or what its origin has."""
    if column in _OWN:
        return f"r.{_name(column)}"
    if column == "position":
        place = "row_number() OVER (ORDER BY o.position, o.prompt_id, r.place)"
        return f"(SELECT max(position) FROM {source}) + {place} AS position"
    return "NULL AS stop_reason" if column == "stop_reason" else f"o.{_name(column)}"


def yields(context: Context, prompts: int) -> int:
    """Return one rewrite for each prompt and method."""
    return prompts * len(_config(context).methods)


@stage_task(REWRITE, Chunking(key_parts, makes=("rewritten",), at_most=at_most, gather=together, yields=yields))
def rewrite(context: Context, job: ChunkJob) -> Handle:
    """Have a model rewrite one chunk of prompts in every way that the recipe names."""
    return rewrite_chunk(context.session, _config(context), job)
