"""Synthesize: a chat model invents instructions when it is given only what stands before the user's words (Magpie)."""

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import pyarrow as pa
from pydantic import Field, model_validator

from blocks.canonical import digest, draw_id, ledger_key, prompt_id
from blocks.dispatcher import Question
from blocks.llm import Engine, PreQueryEngine
from blocks.models import Config, OpenAIModel, Sampling
from blocks.shards import Handle, Shard
from blocks.tables import PROMPTS
from tasks.asking import Answered, ChunkJob, ChunkResult, Session, ask, keep_chunk, set_aside

STAGE = "synthesize"
RANK = 0
# Raised when the same input would give other rows. 1: first version.
VERSION = 1
DRAWS_IN_A_CHUNK = 256
FIRST_GUESS_OF_YIELD = 0.8
MOST_DRAWS_FOR_ONE = 20
DEFAULT_RULES: tuple[str | dict[str, Any], ...] = ("finished", {"min_chars": 10}, "ends_as_a_sentence")


class TemplateUnknownError(ValueError):
    """Nobody says what stands before the user's words in a model's chat template."""


class MagpieSource(Config):
    """Instructions that a chat model invents (Magpie, arXiv 2406.08464)."""

    kind: Literal["magpie"] = Field(description="Instructions that a model invents.")
    model: str = Field(description="Name of a model of this recipe.")
    template: str = Field(
        "auto", description="What stands before the user's words: auto (the bundled model), or the text."
    )
    steer: str | None = Field(None, description="Text behind the user marker, which the model goes on from.")
    system_prompts: tuple[str, ...] = Field((), description="System prompts, one of which is drawn for each sample.")
    target: int | None = Field(None, ge=1, description="Accepted instructions wanted; a higher target only adds.")
    samples: int | None = Field(None, ge=1, description="Raw samples to draw, in place of a target.")
    round: int = Field(0, ge=0, description="Another round draws afresh.")
    sampling: Sampling = Field(
        Sampling(temperature=1.0, top_p=1.0, max_tokens=1024, stop=("\n\n",)),
        description="Sampling of the instructions.",
    )

    @model_validator(mode="before")
    @classmethod
    def _wants_something(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("target") is None and value.get("samples") is None:
            raise ValueError("name a target (accepted instructions wanted) or samples (raw draws)")
        if isinstance(value, dict) and value.get("target") is not None and value.get("samples") is not None:
            raise ValueError("name a target or samples, not both")
        return value


def prefixes(source: MagpieSource, engine: Engine | None) -> list[str]:
    """The texts that the model goes on from, one for each system prompt; engine is the model's, if it has one here.

    Raises TemplateUnknownError where the template is to be found out and nobody tells it.
    """
    if source.template != "auto":
        return [source.template + (source.steer or "")]
    if not isinstance(engine, PreQueryEngine):
        raise TemplateUnknownError(
            f"source.template: 'auto' needs a model that knows its chat template, and {source.model!r} does not tell: "
            "write the text that stands before the user's words there"
        )
    return [engine.pre_query_prefix(system, source.steer or "") for system in source.system_prompts or (None,)]


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
    }


def draws_wanted(source: MagpieSource, drawn: int, accepted: int) -> int:
    """How many draws there shall be in all, after some were drawn and some of these accepted; drawn if it suffices.

    The number depends on nothing but the recipe and the yield so far, so a run that is repeated draws the same.
    """
    if source.samples is not None:
        return source.samples
    target = source.target or 0
    if accepted >= target or drawn >= target * MOST_DRAWS_FOR_ONE:
        return drawn
    share = max(accepted / drawn, 1 / MOST_DRAWS_FOR_ONE) if drawn else FIRST_GUESS_OF_YIELD
    wanted = math.ceil((target - accepted) / share * 1.05) + drawn
    return min(-(-wanted // DRAWS_IN_A_CHUNK) * DRAWS_IN_A_CHUNK, max(target * MOST_DRAWS_FOR_ONE, DRAWS_IN_A_CHUNK))
