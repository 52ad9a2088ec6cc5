"""The task that has the judges rate responses."""

import sys
from typing import Any

from kasasagi.blocks.dispatch.estimates import TOKENS_GUESSED
from kasasagi.blocks.own.python import is_own
from kasasagi.blocks.workspace.shards import Handle
from kasasagi.tasks.asking import ChunkJob
from kasasagi.tasks.context import Context
from kasasagi.tasks.converse.estimates import earlier_tokens
from kasasagi.tasks.judge.checkers.named import CHECKERS, CHECKERS_VERSION
from kasasagi.tasks.judge.checklist.items import checklist_guess
from kasasagi.tasks.judge.checklist.work import rate_by_checklist
from kasasagi.tasks.judge.checklist.writing import PROMPT
from kasasagi.tasks.judge.config import JudgeConfig
from kasasagi.tasks.judge.methods import method_of
from kasasagi.tasks.judge.named import METHODS
from kasasagi.tasks.judge.prompt import prompt_digest
from kasasagi.tasks.judge.rate import judge_chunk, rate_responses
from kasasagi.tasks.judge.stage import JUDGE
from kasasagi.tasks.judge.verify.work import verify_chunk
from kasasagi.tasks.stage import TEMPLATE_TOKENS_GUESSED, Guess
from kasasagi.tasks.stage_task import Chunking, stage_task


def _config(context: Context) -> JudgeConfig:
    if context.recipe.judging is None:
        raise TypeError("this recipe has no judge")
    return context.recipe.judging


def key_parts(context: Context, job: ChunkJob) -> list[Any]:
    """Return what decides the ratings: the judges or the checker, their prompt, and the margin where it
    asks for more.
    """
    config, pairs = _config(context), context.recipe.pairs
    if config.verifies:
        return [config.keyed(), *_checker_parts(config, context)]
    known: list[Any] = [config.keyed(), [context.model_digest(name) for name in config.judges]]
    if config.ranks_correct:
        known += _checker_parts(config, context)
    if is_own(config.method):
        known += METHODS.key_parts([config.method], context.base)
    elif config.method != "reward":
        known.append(prompt_digest(config.method))
    if config.is_checklist:
        known += _checklist_parts(config, context)
    if config.together:
        known.append(prompt_digest("together"))
    if config.confirms:
        quorum = [] if pairs.quorum is None else [pairs.quorum]
        known.append([pairs.min_margin, pairs.aspects, pairs.judges, *quorum])
    return known


def _checklist_parts(config: JudgeConfig, context: Context) -> list[Any]:
    """Return what decides items beside the judges: the checkers, and the model that writes them."""
    writer = config.items_writer
    return [CHECKERS_VERSION, *([] if writer is None else [context.model_digest(writer), prompt_digest(PROMPT)])]


def _checker_parts(config: JudgeConfig, context: Context) -> list[Any]:
    """Return what decides the verdicts of a checker; those on code depend on the Python that runs it, too."""
    kind = config.verifying.kind
    python = [list(sys.version_info[:2])] if kind == "code" else []
    return [CHECKERS_VERSION, *CHECKERS.key_parts([kind], context.base), *python]


def at_most(context: Context, prompts: int) -> list[Guess]:
    """Return the judges' calls for prompts without responses so far; none where too few responses can be shown.

    Where answers are checked first, at least one of them is incorrect and so is not shown.
    """
    config, respond = _config(context), context.recipe.respond
    answers = sum(responder.samples or respond.samples for responder in respond.models)
    answers += context.recipe.chooses_source - config.ranks_correct
    if answers < 2 or config.verifies:
        return []
    if config.is_checklist:
        return checklist_guess(config, prompts, answers, earlier_tokens(context.dialogues))
    groups = method_of(config, context.base).groups("", answers)
    times = prompts * len(config.calls) * len(config.orderings)
    tokens = (earlier_tokens(context.dialogues) + TEMPLATE_TOKENS_GUESSED) * len(groups) + TOKENS_GUESSED * sum(
        map(len, groups)
    )
    return [Guess(vote.use, times * len(groups), times * tokens, config.sampling.max_tokens) for vote in config.votes]


@stage_task(JUDGE, Chunking(key_parts, makes=("ratings",), at_most=at_most))
def judge(context: Context, job: ChunkJob) -> Handle:
    """Have the judges rate one chunk of responses, or check them without a judge."""
    if _config(context).verifies:
        return verify_chunk(context.session, _config(context), job)
    rate = rate_by_checklist if _config(context).is_checklist else rate_responses
    return judge_chunk(context.session, _config(context), context.recipe.pairs.aggregation(), job, rate)
