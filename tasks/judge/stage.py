"""Judge: the responses to each prompt are rated side by side, in one order or in both."""

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from blocks.canonical import digest, ledger_key
from blocks.dispatcher import Question
from blocks.models import OpenAIModel
from blocks.shards import Handle
from tasks.asking import Answered, ChunkJob, ChunkResult, Session, ask, keep_chunk, read_rows, set_aside
from tasks.judge.config import JudgeConfig
from tasks.judge.prompt import (
    Language,
    asked_again,
    first_order,
    instruction_text,
    judge_messages,
    judge_prompt,
    turned,
)
from tasks.judge.reader import UnreadableReply, Verdict, read_ratings
from tasks.response_rules import language_of
from tasks.thinking import split_thinking

STAGE = "judge"
RANK = 2
# Raised when the same input would give other rows. 1: first version.
VERSION = 1


@dataclass(frozen=True, slots=True)
class Sitting:
    """One call of the judge: a prompt's responses under one aspect, in the order in which they are shown."""

    prompt_id: str
    aspect: str
    ordering: str
    responses: tuple[Mapping[str, Any], ...]
    question: Question


def sittings_for(
    session: Session,
    config: JudgeConfig,
    prompts: Sequence[Mapping[str, Any]],
    responses: Mapping[str, Sequence[Mapping[str, Any]]],
) -> list[Sitting]:
    """All calls of the judge for some prompts; a prompt with fewer than two responses has none.

    responses holds the rows by prompt_id. They are put in the order of their ids first, so that the calls do not
    depend on who answered sooner or stands first in the recipe.
    """
    sittings: list[Sitting] = []
    for prompt in prompts:
        answers = sorted(responses.get(prompt["prompt_id"], ()), key=lambda row: row["response_id"])
        if len(answers) > 1:
            sittings += _sittings_for_prompt(session, config, prompt, answers)
    return sittings


def _sittings_for_prompt(
    session: Session, config: JudgeConfig, prompt: Mapping[str, Any], answers: Sequence[Mapping[str, Any]]
) -> list[Sitting]:
    language = judge_language(config, prompt)
    model = session.models[config.model]
    body = config.sampling.over(model.sampling).parameters()
    body |= model.extra_body if isinstance(model, OpenAIModel) else {}
    first = first_order(prompt["prompt_id"], len(answers))
    orders = {name: first if name == "first" else turned(first) for name in config.orderings}
    sittings = []
    for aspect in config.aspects:
        for name, order in orders.items():
            shown = tuple(answers[index] for index in order)
            messages = judge_messages(prompt["messages"], [row["content"] for row in shown], aspect, language)
            request = {"messages": messages, **body}
            key = ledger_key(session.identities[config.model], request, 0)
            sittings.append(Sitting(prompt["prompt_id"], aspect, name, shown, Question(config.model, key, request)))
    return sittings


def judge_language(config: JudgeConfig, prompt: Mapping[str, Any]) -> Language:
    """The language of the judge's prompt: as set, else Japanese for Japanese instructions and English for the rest."""
    if config.language != "auto":
        return config.language
    return "ja" if language_of(instruction_text(prompt["messages"], "en")) == "ja" else "en"


def judge_chunk(session: Session, config: JudgeConfig, job: ChunkJob) -> Handle:
    """Have one chunk of responses rated and keep the ratings."""
    started = time.monotonic()
    prompts = read_rows(session.run, job.inputs["prompts"])
    responses = read_rows(session.run, job.inputs.get("responses"))
    by_prompt: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in responses:
        by_prompt[row["prompt_id"]].append(row)
    sittings = sittings_for(session, config, prompts, by_prompt)
    first = ask(session, [sitting.question for sitting in sittings], RANK, job.chunk)
    heard = [hear(sitting, answer) for sitting, answer in zip(sittings, first, strict=True)]
    repaired, second = _repaired(session, config, heard, job.chunk) if config.repairs else (heard, [])
    result = sort_verdicts(config, responses, repaired, [*first, *second])
    return keep_chunk(session.run, session.models, job, result, started)


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of a sitting: the verdicts, one for each response as shown, or why they cannot be read."""

    sitting: Sitting
    answer: Answered
    verdicts: tuple[Verdict, ...] = ()
    fault: UnreadableReply | None = None


def hear(sitting: Sitting, answer: Answered) -> Heard:
    """Read the judge's reply to a sitting."""
    try:
        return Heard(sitting, answer, tuple(read_verdicts(answer, len(sitting.responses))))
    except UnreadableReply as fault:
        return Heard(sitting, answer, fault=fault)


def _repaired(
    session: Session, config: JudgeConfig, heard: Sequence[Heard], chunk: int
) -> tuple[list[Heard], list[Answered]]:
    """The same, with each reply that could not be read asked for once more; and the answers to that."""
    broken = [one for one in heard if one.fault is not None and one.answer.completion.error is None]
    again = [_again(session, config, one) for one in broken]
    answers = ask(session, [sitting.question for sitting in again], RANK, chunk)
    second = {id(old): hear(new, answer) for old, new, answer in zip(broken, again, answers, strict=True)}
    return [second.get(id(one), one) for one in heard], answers


def _again(session: Session, config: JudgeConfig, one: Heard) -> Sitting:
    """The sitting that asks for an unreadable reply once more, with the fault named."""
    question = one.sitting.question
    messages = question.request["messages"]
    language: Language = "ja" if messages[0]["content"] == judge_prompt("ja").system else "en"
    fault = one.fault.detail if one.fault else ""
    request = {**question.request, "messages": asked_again(messages, one.answer.completion.text, fault, language)}
    key = ledger_key(session.identities[config.model], request, 0)
    return replace(one.sitting, question=Question(config.model, key, request))


def sort_verdicts(
    config: JudgeConfig,
    responses: Sequence[Mapping[str, Any]],
    heard: Sequence[Heard],
    answered: Sequence[Answered],
) -> ChunkResult:
    """Ratings, and the responses that lack one under some aspect, with the reason and the judge's raw words.

    A response counts as rated under an aspect only if every order of it could be read. answered holds every call.
    """
    ratings: list[dict[str, Any]] = []
    faults: dict[tuple[str, str], tuple[str, str | None, str]] = {}
    seen: set[tuple[str, str]] = set()
    for one in heard:
        places = [(row["response_id"], one.sitting.aspect) for row in one.sitting.responses]
        seen.update(places)
        ratings += _ratings(config, one)
        if one.fault is not None:
            words = (one.fault.reason, one.fault.detail, one.answer.completion.text)
            faults.update({place: words for place in places if place not in faults})
    quarantine = [
        _unrated(row, aspect, faults.get((row["response_id"], aspect)))
        for row in responses
        for aspect in config.aspects
        if (row["response_id"], aspect) in faults or (row["response_id"], aspect) not in seen
    ]
    rows_in = len(responses) * len(config.aspects)
    rows = {"ratings": ratings, "quarantine": quarantine}
    return ChunkResult(rows_in, rows_in - len(quarantine), rows, answered)


def read_verdicts(answer: Answered, count: int) -> list[Verdict]:
    """The verdicts in a judge's reply. Raises UnreadableReply, also where there is no reply."""
    completion = answer.completion
    if completion.error is not None:
        raise UnreadableReply(completion.error, completion.detail or "the judge gave no answer")
    if completion.finish_reason == "length":
        raise UnreadableReply("truncated", "the judge's reply was cut off; raise judge.sampling.max_tokens")
    words, _ = split_thinking(completion.text, completion.reasoning)
    return read_ratings(words, count)


def _ratings(config: JudgeConfig, one: Heard) -> list[dict[str, Any]]:
    """One row for each verdict of a sitting; none where it could not be read."""
    shown = enumerate(zip(one.sitting.responses, one.verdicts, strict=False), start=1)
    return [
        {
            "response_id": row["response_id"],
            "prompt_id": one.sitting.prompt_id,
            "judge": config.model,
            "aspect": one.sitting.aspect,
            "ordering": one.sitting.ordering,
            "place": place,
            "rating": float(verdict.rating),
            "rationale": verdict.rationale,
            "call_id": one.sitting.question.key,
        }
        for place, (row, verdict) in shown
    ]


def _unrated(row: Mapping[str, Any], aspect: str, fault: tuple[str, str | None, str] | None) -> dict[str, Any]:
    reason, detail, words = fault or ("nothing_to_compare", "no other answer to this prompt is left", "")
    payload = {"prompt_id": row["prompt_id"], "response_id": row["response_id"], "aspect": aspect, "reply": words}
    return set_aside(STAGE, digest([row["response_id"], aspect]), reason, detail, payload)
