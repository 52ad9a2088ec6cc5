"""Judge: the responses to each prompt are rated side by side, in one order or in both, by one judge or several."""

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from blocks.canonical import digest
from blocks.shards import Handle
from tasks.asking import Answered, ChunkJob, ChunkResult, Session, ask, keep_chunk, read_rows, set_aside
from tasks.judge.config import ORDERINGS, JudgeConfig
from tasks.judge.reader import UnreadableReply, Verdict, read_ratings
from tasks.judge.sittings import Sitting, repaired, sittings_for
from tasks.judge.votes import Weighing, to_confirm
from tasks.thinking import split_thinking

STAGE = "judge"
RANK = 2
# Raised when the same input would give other rows. 1: first version.
VERSION = 1
Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of a sitting: the verdicts, one for each response as shown, or why they cannot be read."""

    sitting: Sitting
    answer: Answered
    verdicts: tuple[Verdict, ...] = ()
    fault: UnreadableReply | None = None


@dataclass(frozen=True, slots=True)
class Bench:
    """The judges of one chunk of responses, and how their marks are weighed."""

    session: Session
    config: JudgeConfig
    weighing: Weighing
    chunk: int = 0

    def hold(self, sittings: Sequence[Sitting]) -> tuple[list[Heard], list[Answered]]:
        """What came of some sittings, each reply that could not be read asked for once more; and every answer."""
        first = ask(self.session, [sitting.question for sitting in sittings], RANK, self.chunk)
        heard = [hear(sitting, answer) for sitting, answer in zip(sittings, first, strict=True)]
        if not self.config.repairs:
            return heard, first
        mended, second = self._mended(heard)
        return mended, [*first, *second]

    def _mended(self, heard: Sequence[Heard]) -> tuple[list[Heard], list[Answered]]:
        broken = [one for one in heard if one.fault is not None and one.answer.completion.error is None]
        again = [
            repaired(self.session, one.sitting, one.answer.completion.text, one.fault.detail if one.fault else "")
            for one in broken
        ]
        answers = ask(self.session, [sitting.question for sitting in again], RANK, self.chunk)
        second = {id(old): hear(new, answer) for old, new, answer in zip(broken, again, answers, strict=True)}
        return [second.get(id(one), one) for one in heard], answers

    def confirming(self, prompts: Rows, responses: Rows, heard: Sequence[Heard]) -> list[Sitting]:
        """The sittings in the second order, where the first leaves the margin that a pair needs."""
        ratings = [row for one in heard for row in ratings_of(one)]
        wanted = to_confirm(self.config, self.weighing, responses, ratings)
        some = [prompt for prompt in prompts if prompt["prompt_id"] in wanted]
        return sittings_for(self.session, self.config, some, by_prompt(responses), ORDERINGS[1:])


def judge_chunk(session: Session, config: JudgeConfig, weighing: Weighing, job: ChunkJob) -> Handle:
    """Have one chunk of responses rated and keep the ratings."""
    started = time.monotonic()
    prompts = read_rows(session.run, job.inputs["prompts"])
    responses = read_rows(session.run, job.inputs.get("responses"))
    bench = Bench(session, config, weighing, job.chunk)
    heard, answered = bench.hold(sittings_for(session, config, prompts, by_prompt(responses)))
    if config.orders == "confirm":
        more, further = bench.hold(bench.confirming(prompts, responses, heard))
        heard, answered = [*heard, *more], [*answered, *further]
    result = sort_verdicts(config, responses, heard, answered)
    return keep_chunk(session.run, session.models, job, result, started)


def by_prompt(responses: Rows) -> dict[str, list[Mapping[str, Any]]]:
    """Some responses by their prompt's id."""
    found: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in responses:
        found[row["prompt_id"]].append(row)
    return found


def hear(sitting: Sitting, answer: Answered) -> Heard:
    """Read the judge's reply to a sitting."""
    try:
        return Heard(sitting, answer, tuple(read_verdicts(answer, len(sitting.responses))))
    except UnreadableReply as fault:
        return Heard(sitting, answer, fault=fault)


def sort_verdicts(
    config: JudgeConfig, responses: Rows, heard: Sequence[Heard], answered: Sequence[Answered]
) -> ChunkResult:
    """Ratings, and the responses that lack one of some judge under some aspect, with the reason and its raw words.

    A response counts as rated by a judge under an aspect only if every order of it that was asked could be read.
    answered holds every call.
    """
    ratings: list[dict[str, Any]] = []
    faults: dict[tuple[str, str, str], tuple[str, str | None, str]] = {}
    seen: set[tuple[str, str, str]] = set()
    for one in heard:
        marks = [(row["response_id"], one.sitting.aspect, one.sitting.voice.name) for row in one.sitting.responses]
        seen.update(marks)
        ratings += ratings_of(one)
        if one.fault is not None:
            words = (one.fault.reason, one.fault.detail, one.answer.completion.text)
            faults.update({mark: words for mark in marks if mark not in faults})
    wanted = [(row, aspect, voice.name) for row in responses for aspect in config.aspects for voice in config.voices]
    quarantine = [
        _unrated(config, row, aspect, name, faults.get((row["response_id"], aspect, name)))
        for row, aspect, name in wanted
        if (row["response_id"], aspect, name) in faults or (row["response_id"], aspect, name) not in seen
    ]
    rows = {"ratings": ratings, "quarantine": quarantine}
    return ChunkResult(len(wanted), len(wanted) - len(quarantine), rows, answered)


def read_verdicts(answer: Answered, count: int) -> list[Verdict]:
    """The verdicts in a judge's reply. Raises UnreadableReply, also where there is no reply."""
    completion = answer.completion
    if completion.error is not None:
        raise UnreadableReply(completion.error, completion.detail or "the judge gave no answer")
    if completion.finish_reason == "length":
        raise UnreadableReply("truncated", "the judge's reply was cut off; raise judge.sampling.max_tokens")
    words, _ = split_thinking(completion.text, completion.reasoning)
    return read_ratings(words, count)


def ratings_of(one: Heard) -> list[dict[str, Any]]:
    """One row for each verdict of a sitting; none where it could not be read."""
    sitting = one.sitting
    shown = enumerate(zip(sitting.responses, one.verdicts, strict=False), start=1)
    return [
        {
            "response_id": row["response_id"],
            "prompt_id": sitting.prompt_id,
            "judge": sitting.voice.name,
            "aspect": sitting.aspect,
            "ordering": sitting.ordering,
            "place": place,
            "rating": float(verdict.rating),
            "rationale": verdict.rationale,
            "call_id": sitting.question.key,
        }
        for place, (row, verdict) in shown
    ]


def _unrated(
    config: JudgeConfig, row: Mapping[str, Any], aspect: str, judge: str, fault: tuple[str, str | None, str] | None
) -> dict[str, Any]:
    """The quarantine row of a mark that is missing; it names the judge where there are several."""
    reason, detail, words = fault or ("nothing_to_compare", "no other answer to this prompt is left", "")
    payload = {"prompt_id": row["prompt_id"], "response_id": row["response_id"], "aspect": aspect, "reply": words}
    name = [row["response_id"], aspect]
    if len(config.voices) > 1:
        name, payload = [*name, judge], {**payload, "judge": judge}
    return set_aside(STAGE, digest(name), reason, detail, payload)
