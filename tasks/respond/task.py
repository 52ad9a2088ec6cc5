"""The task that has every model answer, or takes the answers that the source holds."""

from typing import Any

from kasasagi.blocks.workspace.shards import Handle, Shard
from kasasagi.tasks.asking import ChunkJob
from kasasagi.tasks.context import Context
from kasasagi.tasks.converse.estimates import earlier_tokens
from kasasagi.tasks.respond import provided
from kasasagi.tasks.respond.answers import respond_chunk
from kasasagi.tasks.respond.rules import rule_key_parts
from kasasagi.tasks.respond.stage import RESPOND
from kasasagi.tasks.stage import PROMPT_TOKENS_GUESSED, Guess
from kasasagi.tasks.stage_task import Chunking, stage_task


def key_parts(context: Context, job: ChunkJob) -> list[Any]:
    """Return what decides the answers: who responds and how, or that the source holds them."""
    recipe = context.recipe
    if recipe.responses_provided:
        return ["given", provided.VERSION]
    config = recipe.respond.keyed()
    models = [context.model_digest(responder.use) for responder in recipe.respond.models]
    alone = [] if recipe.pairing else ["not compared"]  # then equal answers stay, as they do not for pairs
    own = rule_key_parts(recipe.respond.rule_names, context.base)
    where = [list(recipe.respond.where.items())] if recipe.respond.where else []  # their order decides the reason
    return [config, models, *alone, *own, *where]


def at_most(context: Context, prompts: int) -> list[Guess]:
    """Return one call for each prompt, responder and sample."""
    config, tokens = context.recipe.respond, earlier_tokens(context.dialogues) + PROMPT_TOKENS_GUESSED
    calls = [(responder.use, prompts * (responder.samples or config.samples)) for responder in config.models]
    return [Guess(label, count, count * tokens, config.sampling.max_tokens) for label, count in calls]


def provided_answers(context: Context, part: int) -> dict[str, Shard]:
    """Return the responses that the source holds, where it holds any."""
    return {} if context.provided is None else {"given": context.provided}


@stage_task(RESPOND, Chunking(key_parts, makes=("responses",), at_most=at_most, more_inputs=provided_answers))
def respond(context: Context, job: ChunkJob) -> Handle:
    """Have every model answer one chunk of prompts, or take the answers that are there."""
    session, recipe = context.session, context.recipe
    if recipe.responses_provided:
        return provided.provided_chunk(session.run, job)
    beside = provided.beside(session.run, job) if recipe.chooses_source else None
    return respond_chunk(session, recipe.respond, job, recipe.pairing, beside)
