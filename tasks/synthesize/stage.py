"""The stage itself: one chunk of draws is asked for, sorted and kept, and all draws become prompts."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from blocks.canonical import digest, draw_id, ledger_key, prompt_id
from blocks.dispatcher import Question
from blocks.models import OpenAIModel
from blocks.shards import Handle, Shard
from blocks.tables import PROMPTS
from tasks.asking import Answered, ChunkJob, ChunkResult, Session, ask, keep_chunk, set_aside
from tasks.synthesize.config import MagpieSource
from tasks.synthesize.counting import DRAWS_IN_A_CHUNK
from tasks.synthesize.templates import prefixes

STAGE = "synthesize"
RANK = 0
# Raised when the same input would give other rows. 1: first version.
VERSION = 1


def questions_for(session: Session, source: MagpieSource, chunk: int, draws: int) -> list[Question]:
    """The draws of one chunk: equal requests that differ by their number alone."""
    identity = session.identities[source.model]
    model = session.models[source.model]
    body = source.sampling.over(model.sampling).parameters()
    body |= model.extra_body if isinstance(model, OpenAIModel) else {}
    engine = None if isinstance(model, OpenAIModel) else session.dispatcher.engine(source.model)
    starts = prefixes(source, engine)
    questions = []
    for draw in range(chunk * DRAWS_IN_A_CHUNK, min(draws, (chunk + 1) * DRAWS_IN_A_CHUNK)):
        pick = int(digest([source.round, draw]), 16) % len(starts)
        request = {"prompt": starts[pick], **body}
        questions.append(Question(source.model, ledger_key(identity, request, draw, source.round), request))
    return questions


def synthesize_chunk(session: Session, source: MagpieSource, job: ChunkJob, draws: int) -> Handle:
    """Draw one chunk of instructions and keep them."""
    started = time.monotonic()
    questions = questions_for(session, source, job.chunk, draws)
    answered = ask(session, questions, RANK, job.chunk)
    return keep_chunk(
        session.run, session.models, job, sort_draws(source, answered, job.chunk * DRAWS_IN_A_CHUNK), started
    )


def sort_draws(source: MagpieSource, answered: Sequence[Answered], first: int) -> ChunkResult:
    """Draws that hold a text, and those that failed or are empty."""
    draws: list[dict[str, Any]] = []
    quarantine: list[dict[str, Any]] = []
    for number, answer in enumerate(answered, start=first):
        completion = answer.completion
        row = _draw(source, number, answer)
        if completion.error is not None:
            quarantine.append(set_aside(STAGE, row["draw_id"], completion.error, completion.detail, row))
        elif not completion.text.strip():
            quarantine.append(set_aside(STAGE, row["draw_id"], "empty", "the model invented nothing", row))
        else:
            draws.append(row)
    return ChunkResult(len(answered), len(draws), {"draws": draws, "quarantine": quarantine}, answered)


def _draw(source: MagpieSource, number: int, answer: Answered) -> dict[str, Any]:
    completion, call = answer.completion, answer.question.key
    text = (source.steer or "") + completion.text
    return {
        "draw_id": draw_id(source.template, call, text),
        "draw": number,
        "template": source.template,
        "text": text,
        "finish_reason": completion.finish_reason,
        "stop_reason": completion.stop_reason,
        "prompt_id": prompt_id(_messages(text)),
        "call_id": call,
    }


def _messages(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text.strip()}]


def prompts_from_draws(session: Session, shards: Sequence[Shard]) -> Shard:
    """The draws of some shards as one table of prompts, in the order of their numbers."""

    def batches() -> Any:
        for shard in shards:
            rows = [_prompt(row) for row in session.run.workspace.shards.read(shard).to_pylist()]
            yield pa.RecordBatch.from_pylist(rows, schema=PROMPTS)

    return session.run.workspace.shards.write(batches(), PROMPTS)


def _prompt(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "prompt_id": row["prompt_id"],
        "messages": _messages(row["text"]),
        "instruction": row["text"].strip(),
        "source": "magpie",
        "position": row["draw"],
        "finish_reason": row["finish_reason"],
        "stop_reason": row["stop_reason"],
    }
