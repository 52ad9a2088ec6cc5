"""Judge: the responses to each prompt are rated side by side, in one order or in both, by one judge or several."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from kasasagi.blocks.canonical import digest
from kasasagi.blocks.dispatch.estimates import prompt_tokens
from kasasagi.blocks.models.llm import Completion
from kasasagi.blocks.workspace.shards import Handle
from kasasagi.tasks.asking import Answered, ChunkJob, ChunkResult, Session, Then, ask, keep_chunk, read_rows, set_aside
from kasasagi.tasks.judge.config import ORDERINGS, JudgeConfig
from kasasagi.tasks.judge.methods import method_of
from kasasagi.tasks.judge.replies.lines import UnreadableReply, Verdict, refuse
from kasasagi.tasks.judge.sittings import Sitting, repaired, sittings_for
from kasasagi.tasks.judge.stage import JUDGE
from kasasagi.tasks.judge.votes import Weighing, by_prompt_id, to_confirm
from kasasagi.tasks.stage import Guess
from kasasagi.tasks.text.endings import cut_off_detail, is_cut_off
from kasasagi.tasks.text.thinking import begins_with_thinking, holds_end_of_thinking, split_thinking

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

    def hold(self, sittings: Sequence[Sitting], then: Then | None = None) -> tuple[list[Heard], list[Answered]]:
        """What came of some sittings, each reply that could not be read asked for once more; and every answer."""
        first = ask(self.session, [sitting.question for sitting in sittings], JUDGE.name, self.chunk, then)
        heard = [self.hear(sitting, answer) for sitting, answer in zip(sittings, first, strict=True)]
        if not self.config.repairs or self.config.method == "reward":
            return heard, first
        mended, second = self._mended(heard)
        return mended, [*first, *second]

    def _mended(self, heard: Sequence[Heard]) -> tuple[list[Heard], list[Answered]]:
        broken = [one for one in heard if one.fault is not None and one.answer.completion.error is None]
        again = [
            repaired(
                self.session,
                self.config,
                one.sitting,
                one.answer.completion.text,
                one.fault.detail if one.fault else "",
            )
            for one in broken
        ]
        answers = ask(self.session, [sitting.question for sitting in again], JUDGE.name, self.chunk)
        second = {id(old): self.hear(new, answer) for old, new, answer in zip(broken, again, answers, strict=True)}
        return [second.get(id(one), one) for one in heard], answers

    def hear(self, sitting: Sitting, answer: Answered) -> Heard:
        """Read the judge's reply to a sitting."""
        texts = [row["content"] for row in sitting.responses]
        try:
            return Heard(sitting, answer, tuple(read_answer(self.config, answer, texts, self.session.base)))
        except UnreadableReply as fault:
            return Heard(sitting, answer, fault=fault)

    def confirming(self, prompts: Rows, responses: Rows, heard: Sequence[Heard]) -> list[Sitting]:
        """The sittings in the second order, where the first leaves the margin that a pair needs."""
        ratings = [row for one in heard for row in ratings_of(one)]
        wanted = to_confirm(self.config, self.weighing, responses, ratings)
        some = [prompt for prompt in prompts if prompt["prompt_id"] in wanted]
        return sittings_for(self.session, self.config, some, by_prompt_id(responses), ORDERINGS[1:])


def read_answer(config: JudgeConfig, answer: Answered, texts: Sequence[str], base: Path = Path()) -> list[Verdict]:
    """Return the verdict on each of the texts that a judge was shown.

    Args:
        config: The judge's configuration.
        answer: Its answer.
        texts: The texts in the order in which it saw them.
        base: The recipe's folder, where a way of judging of a user's own lies.

    Raises:
        UnreadableReply: The reply is an error, is cut off, or is not clear.
    """
    completion = answer.completion
    if completion.error is not None:
        raise UnreadableReply(completion.error, completion.detail or "the judge gave no answer")
    if is_cut_off(how := completion.finish_reason):
        raise UnreadableReply("truncated", cut_off_detail("the judge's reply", how, "judge.sampling.max_tokens"))
    words, thinking = split_thinking(completion.text, completion.reasoning)
    if thinking is not None and not _thought_aloud(completion) and _holds_end_of_thinking(answer):
        refuse("quoted_thinking", "the reply may quote an end of thinking from a text, and what stands behind it too")
    return method_of(config, base).read(words, texts)


def _thought_aloud(completion: Completion) -> bool:
    """Whether a reply says by itself where thinking begins."""
    return bool(completion.reasoning and completion.reasoning.strip()) or begins_with_thinking(completion.text)


def _holds_end_of_thinking(answer: Answered) -> bool:
    """Whether a text that the judge was shown holds what ends thinking, so that the judge may have quoted it."""
    return any(holds_end_of_thinking(turn["content"]) for turn in answer.question.request["messages"])


def judge_chunk(session: Session, config: JudgeConfig, weighing: Weighing, job: ChunkJob) -> Handle:
    """Have one chunk of responses rated and keep the ratings."""
    started = time.monotonic()
    prompts = read_rows(session.run, job.inputs["prompts"])
    responses = read_rows(session.run, job.inputs.get("responses"))
    bench = Bench(session, config, weighing, job.chunk)
    sittings = sittings_for(session, config, prompts, by_prompt_id(responses))
    heard, answered = bench.hold(sittings, partial(_second_order, config, sittings) if config.confirms else None)
    if config.confirms:
        more, further = bench.hold(bench.confirming(prompts, responses, heard))
        heard, answered = [*heard, *more], [*answered, *further]
    result = sort_verdicts(bench, prompts, responses, heard, answered)
    return keep_chunk(session.run, session.models, job, result, started)


def _second_order(config: JudgeConfig, sittings: Sequence[Sitting], place: int) -> list[Guess]:
    """The second order of a sitting, which only the first's margin calls for."""
    question = sittings[place].question
    return [Guess(question.label, 1, prompt_tokens(question.request), config.sampling.max_tokens)]


def sort_verdicts(
    bench: Bench, prompts: Rows, responses: Rows, heard: Sequence[Heard], answered: Sequence[Answered]
) -> ChunkResult:
    """Ratings, and the responses that lack one of some judge under some aspect, with the reason and its raw words.

    A response counts as rated by a judge under an aspect only if every order of it that was asked could be read.
    answered holds every call.
    """
    config = bench.config
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
    wanted = [(row, aspect, voice.name) for row in responses for aspect in config.marks for voice in config.voices]
    why = _not_asked(config, bench.session.base, prompts, responses)
    quarantine = [
        _unrated(config, row, aspect, name, faults.get((row["response_id"], aspect, name)) or why[row["prompt_id"]])
        for row, aspect, name in wanted
        if (row["response_id"], aspect, name) in faults or (row["response_id"], aspect, name) not in seen
    ]
    rows = {"ratings": ratings, "quarantine": quarantine}
    return ChunkResult(len(wanted), len(wanted) - len(quarantine), rows, answered)


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


def _not_asked(
    config: JudgeConfig, base: Path, prompts: Rows, responses: Rows
) -> dict[str, tuple[str, str | None, str]]:
    """For each prompt why a response to it is not shown to the judges, if it is not."""
    method, left = method_of(config, base), by_prompt_id(responses)
    why: dict[str, tuple[str, str | None, str]] = {}
    for prompt in prompts:
        count = len(left.get(prompt["prompt_id"], ()))
        if count < 2:
            why[prompt["prompt_id"]] = "nothing_to_compare", "no other answer to this prompt is left", ""
        elif (fault := method.fault(prompt)) is not None:
            why[prompt["prompt_id"]] = "template", fault, ""
        else:
            why[prompt["prompt_id"]] = "not_compared", f"it is in none of the {config.matches} matches", ""
    return why


def _unrated(
    config: JudgeConfig, row: Mapping[str, Any], aspect: str, judge: str, fault: tuple[str, str | None, str]
) -> dict[str, Any]:
    """The quarantine row of a mark that is missing; it names the judge where there are several."""
    reason, detail, words = fault
    payload = {"prompt_id": row["prompt_id"], "response_id": row["response_id"], "aspect": aspect, "reply": words}
    name = [row["response_id"], aspect]
    if len(config.voices) > 1:
        name, payload = [*name, judge], {**payload, "judge": judge}
    return set_aside(JUDGE.name, digest(name), reason, detail, payload)
