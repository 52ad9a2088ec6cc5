"""The stage itself: one chunk of draws is asked for, sorted and kept, and all draws become prompts."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import pyarrow as pa

from kasasagi.blocks.canonical import draw_id, prompt_id
from kasasagi.blocks.dispatch.pending_requests import Question
from kasasagi.blocks.models.kinds import extra_body_of
from kasasagi.blocks.tables import PROMPTS
from kasasagi.blocks.workspace.shards import Handle, Shard
from kasasagi.tasks.asking import Answered, ChunkJob, ChunkResult, Session, ask, keep_chunk, quarantine_row
from kasasagi.tasks.synthesize.cleaning import instruction_of
from kasasagi.tasks.synthesize.config import MagpieSource
from kasasagi.tasks.synthesize.stage import DRAWS, SYNTHESIZE
from kasasagi.tasks.synthesize.steering import Steering, SteeringParams
from kasasagi.tasks.synthesize.stops import with_stops, without_line_stops
from kasasagi.tasks.synthesize.templates import pre_query_of


@dataclass(frozen=True, slots=True)
class Draw:
    """One raw sample to be drawn: its number, how it is steered, and what is asked."""

    number: int
    params: SteeringParams
    question: Question


def draws_for(session: Session, steering: Steering, first: int, end: int) -> list[Draw]:
    """Return the draws from one number up to another; where nothing steers they are equal requests that differ by it
    alone.

    Raises PreQueryUnknownError.
    """
    source = steering.source
    identity, model = session.identities[source.model], session.models[source.model]
    body = source.sampling.over(model.sampling).parameters()
    extra = extra_body_of(model)
    begins = pre_query_of(session, source)
    prompt, stops = cache(lambda system, steer: begins.prompt(system, steer=steer)), begins.stops()
    found = []
    for number in range(first, end):
        params = steering.of(number)
        fields = {**body, **params.sampling, **extra}
        sampling = with_stops(without_line_stops(fields) if source.multi_line else fields, stops)
        request = {"prompt": prompt(params.system, params.steer), **sampling}
        question = Question.of(source.model, identity, request, number, source.round)
        found.append(Draw(number, params, question))
    return found


def synthesize_chunk(session: Session, steering: Steering, job: ChunkJob, numbers: range) -> Handle:
    """Draw one chunk of instructions, those of some numbers, and keep them."""
    started = time.monotonic()
    asked = draws_for(session, steering, numbers.start, numbers.stop)
    answered = ask(session, [draw.question for draw in asked], SYNTHESIZE.name, job.chunk)
    return keep_chunk(session.run, session.models, job, sort_draws(steering.source, asked, answered), started)


def sort_draws(source: MagpieSource, asked: Sequence[Draw], answered: Sequence[Answered]) -> ChunkResult:
    """Draws that hold a text, and those that failed or are empty."""
    draws: list[dict[str, Any]] = []
    quarantine: list[dict[str, Any]] = []
    for one, answer in zip(asked, answered, strict=True):
        completion = answer.completion
        row = _draw(source, one, answer)
        if completion.error is not None:
            quarantine.append(quarantine_row(SYNTHESIZE.name, row["draw_id"], completion.error, completion.detail, row))
        elif not completion.text.strip():
            quarantine.append(
                quarantine_row(SYNTHESIZE.name, row["draw_id"], "empty", "the model generated no text", row)
            )
        else:
            draws.append(row)
    rows = {"draws": draws, "quarantine": quarantine}
    return ChunkResult(len(answered), len(draws), rows, answered, {"draws": columns_of(source)})


def columns_of(source: MagpieSource) -> list[pa.Field]:
    """Return the further columns of draws and prompts: how each was steered and sampled."""
    return [pa.field(name, kind) for name, kind in source.columns.items()]


def _draw(source: MagpieSource, one: Draw, answer: Answered) -> dict[str, Any]:
    call, request, completion = answer.call.key, one.question.request, answer.completion
    text = one.params.steer.removeprefix(one.params.left_out) + completion.text
    sampled = {name: request.get(name) for name in ("temperature", "top_p") if name in source.columns}
    return {
        "draw_id": draw_id(source.template_text, call, text),
        "draw": one.number,
        "template": source.template_text,
        "text": text,
        "finish_reason": completion.finish_reason,
        "stop_reason": completion.stop_reason,
        "prompt_id": prompt_id(_messages(instruction_of(text, source.multi_line))),
        "call_id": call,
        **one.params.columns,
        **sampled,
    }


def _messages(instruction: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": instruction}]


def prompts_from_draws(session: Session, source: MagpieSource, shards: Sequence[Shard]) -> Shard:
    """Return the draws of some shards as one table of prompts, in the order of their numbers."""
    store = session.run.workspace.shards
    batches = (batch for shard in shards for batch in prompts_table(source, store.read(shard)).to_batches())
    return store.write(batches, prompts_table(source, DRAWS.empty_table()).schema)


def prompts_table(source: MagpieSource, draws: pa.Table) -> pa.Table:
    """Draws as prompts, in their order."""
    schema = pa.schema([*PROMPTS, *columns_of(source)])
    return pa.Table.from_pylist([_prompt(source, row) for row in draws.to_pylist()], schema=schema)


def _prompt(source: MagpieSource, row: Mapping[str, Any]) -> dict[str, Any]:
    instruction = instruction_of(row["text"], source.multi_line)
    return {
        "prompt_id": row["prompt_id"],
        "messages": _messages(instruction),
        "instruction": instruction,
        "source": "magpie",
        "position": row["draw"],
        "finish_reason": row["finish_reason"],
        "stop_reason": row["stop_reason"],
        **{name: row[name] for name in source.columns},
    }
