"""The task that continues prompts as dialogues of several turns."""

from collections.abc import Sequence
from typing import Any

from kasasagi.blocks.models.llm import Message
from kasasagi.blocks.tables import quoted
from kasasagi.blocks.workspace.shards import Handle, Shard
from kasasagi.tasks.asking import ChunkJob
from kasasagi.tasks.context import Context
from kasasagi.tasks.converse.dialogue import converse_chunk, next_prompt, pre_query_for, turn_filter
from kasasagi.tasks.converse.estimates import calls_at_most
from kasasagi.tasks.converse.plan import Dialogues
from kasasagi.tasks.converse.stage import CONVERSE
from kasasagi.tasks.filter import filter_digest
from kasasagi.tasks.filter.stage import FILTER
from kasasagi.tasks.respond.rules import rule_key_parts
from kasasagi.tasks.stage import PROMPT_TOKENS_GUESSED, Guess
from kasasagi.tasks.stage_task import Chunking, stage_task

EXAMPLE: list[Message] = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}]


def _dialogues(context: Context) -> Dialogues:
    if context.dialogues is None:
        raise TypeError("the source is single-turn")
    return context.dialogues


def key_parts(context: Context, job: ChunkJob) -> list[Any]:
    """Return what decides the turns: how dialogues continue, the models, and the rules on further turns."""
    plan = _dialogues(context)
    begins = pre_query_for(context.session, plan)
    models = [context.model_digest(plan.model), context.model_digest(plan.answerer)]
    own = rule_key_parts(plan.answers.rules, context.base)
    rules = [FILTER.version, filter_digest(turn_filter(plan), context.base), *own]
    return [[plan.plain(), models, next_prompt(begins, plan, EXAMPLE), begins.stops(), rules]]


def at_most(context: Context, prompts: int) -> list[Guess]:
    """Return the calls of dialogues that begin as one turn of a user each."""
    plan = _dialogues(context)
    return list(calls_at_most(plan, 1, answered=False, tokens=PROMPT_TOKENS_GUESSED, dialogues=prompts))


def in_order(context: Context, prompts: Shard, made: Sequence[Shard]) -> Shard:
    """Return the dialogues of all chunks as one table, in the order of their positions."""
    files = ", ".join(quoted(context.path(shard)) for shard in made or [prompts])
    return context.written(f"SELECT * FROM read_parquet([{files}]) ORDER BY position, prompt_id")


@stage_task(
    CONVERSE,
    Chunking(key_parts, makes=("prompts",), at_most=at_most, gather=in_order),
)
def converse(context: Context, job: ChunkJob) -> Handle:
    """Continue one chunk of dialogues until each has its turns."""
    return converse_chunk(context.session, _dialogues(context), job)
