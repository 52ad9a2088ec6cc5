"""Judge: the responses to each prompt are rated side by side, in one order or in both."""

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from blocks.canonical import digest, ledger_key
from blocks.dispatcher import Question
from blocks.models import OpenAIModel
from blocks.shards import Handle
from tasks.asking import Answered, ChunkJob, ChunkResult, Session, ask, keep_chunk, read_rows, set_aside
from tasks.judge.config import JudgeConfig
from tasks.judge.prompt import Language, first_order, instruction_text, judge_messages, turned
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
    answered = ask(session, [sitting.question for sitting in sittings], RANK, job.chunk)
    result = sort_verdicts(config, responses, sittings, answered)
    return keep_chunk(session.run, session.models, job, result, started)


def sort_verdicts(
    config: JudgeConfig,
    responses: Sequence[Mapping[str, Any]],
    sittings: Sequence[Sitting],
    answered: Sequence[Answered],
) -> ChunkResult:
    """Ratings, and the responses that lack one under some aspect, with the reason and the judge's raw words.

    A response counts as rated under an aspect only if every order of it could be read.
    """
    ratings: list[dict[str, Any]] = []
    faults: dict[tuple[str, str], tuple[str, str | None, str]] = {}
    seen: set[tuple[str, str]] = set()
    for sitting, answer in zip(sittings, answered, strict=True):
        seen.update((row["response_id"], sitting.aspect) for row in sitting.responses)
        try:
            ratings += _ratings(config, sitting, read_verdicts(answer, len(sitting.responses)))
        except UnreadableReply as fault:
            for row in sitting.responses:
                words = answer.completion.text
                faults.setdefault((row["response_id"], sitting.aspect), (fault.reason, fault.detail, words))
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


def _ratings(config: JudgeConfig, sitting: Sitting, verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    return [
        {
            "response_id": row["response_id"],
            "prompt_id": sitting.prompt_id,
            "judge": config.model,
            "aspect": sitting.aspect,
            "ordering": sitting.ordering,
            "place": place,
            "rating": float(verdict.rating),
            "rationale": verdict.rationale,
            "call_id": sitting.question.key,
        }
        for place, (row, verdict) in enumerate(zip(sitting.responses, verdicts, strict=True), start=1)
    ]


def _unrated(row: Mapping[str, Any], aspect: str, fault: tuple[str, str | None, str] | None) -> dict[str, Any]:
    reason, detail, words = fault or ("nothing_to_compare", "no other answer to this prompt is left", "")
    payload = {"prompt_id": row["prompt_id"], "response_id": row["response_id"], "aspect": aspect, "reply": words}
    return set_aside(STAGE, digest([row["response_id"], aspect]), reason, detail, payload)
