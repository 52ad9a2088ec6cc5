"""The task that labels prompts."""

from collections.abc import Sequence
from typing import Any

from kasasagi.blocks.tables import quoted
from kasasagi.blocks.workspace.shards import Handle, Shard
from kasasagi.tasks.asking import ChunkJob
from kasasagi.tasks.context import Context
from kasasagi.tasks.stage import TEMPLATE_TOKENS_GUESSED, Guess
from kasasagi.tasks.stage_task import Chunking, stage_task
from kasasagi.tasks.tags.config import TagsConfig
from kasasagi.tasks.tags.label import tag_chunk
from kasasagi.tasks.tags.stage import TAGS


def _config(context: Context) -> TagsConfig:
    assert context.recipe.tags is not None
    return context.recipe.tags


def key_parts(context: Context, job: ChunkJob) -> list[Any]:
    """Return what decides the labels: the configuration, the model, and the conditions on labels."""
    config = _config(context)
    return [[config.keyed(), context.model_digest(config.model), list(context.where[1].items())]]


def at_most(context: Context, prompts: int) -> list[Guess]:
    """Return one call for each prompt."""
    config = _config(context)
    return [Guess(config.model, prompts, prompts * TEMPLATE_TOKENS_GUESSED, config.sampling.max_tokens)]


def select_tagged(context: Context, prompts: Shard, made: Sequence[Shard]) -> Shard:
    """Return the prompts that have labels."""
    files = ", ".join(quoted(context.path(shard)) for shard in made)
    there = f"prompt_id IN (SELECT prompt_id FROM read_parquet([{files}]))" if files else "false"
    source = f"read_parquet({quoted(context.path(prompts))})"
    return context.written(f"SELECT * FROM {source} WHERE {there} ORDER BY position, prompt_id")


def needs_origin(context: Context) -> bool:
    """Conditions on labels may name the columns that tell where a prompt is from."""
    return bool(context.where[1])


@stage_task(
    TAGS, Chunking(key_parts, makes=("tags",), at_most=at_most, gather=select_tagged, needs_origin=needs_origin)
)
def tags(context: Context, job: ChunkJob) -> Handle:
    """Have a model label one chunk of prompts."""
    return tag_chunk(context.session, _config(context), context.where[1], job)
