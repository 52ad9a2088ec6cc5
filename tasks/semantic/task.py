"""The task that embeds prompts."""

from typing import Any

from kasasagi.blocks.workspace.shards import Handle
from kasasagi.tasks.asking import ChunkJob
from kasasagi.tasks.context import Context
from kasasagi.tasks.semantic.config import SemanticConfig
from kasasagi.tasks.semantic.embed import embed_chunk
from kasasagi.tasks.semantic.stage import SEMANTIC
from kasasagi.tasks.stage import PROMPT_TOKENS_GUESSED, Guess
from kasasagi.tasks.stage_task import Chunking, stage_task


def _config(context: Context) -> SemanticConfig:
    assert context.recipe.semantic is not None
    return context.recipe.semantic


def key_parts(context: Context, job: ChunkJob) -> list[Any]:
    """Return what decides the vectors: the configuration and the model."""
    config = _config(context)
    return [[config.keyed(), context.model_digest(config.model)]]


def at_most(context: Context, prompts: int) -> list[Guess]:
    """Return one call for each prompt; a vector is no completion."""
    return [Guess(_config(context).model, prompts, prompts * PROMPT_TOKENS_GUESSED, 0)]


@stage_task(SEMANTIC, Chunking(key_parts, makes=("vectors",), at_most=at_most))
def semantic(context: Context, job: ChunkJob) -> Handle:
    """Have a model embed one chunk of prompts."""
    return embed_chunk(context.session, _config(context), job)
