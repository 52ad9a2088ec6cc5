"""Judge: the responses to each prompt are rated side by side, in one order or in both, by one judge or several."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

from kasasagi.blocks.canonical import digest
from kasasagi.blocks.dispatch.estimates import prompt_tokens
from kasasagi.blocks.models.llm import Completion
from kasasagi.blocks.workspace.shards import Handle
from kasasagi.tasks.asking import (
    Answered,
    ChunkJob,
    ChunkResult,
    Session,
    Then,
    ask,
    keep_chunk,
    quarantine_row,
    read_rows,
)
from kasasagi.tasks.judge.config import ORDERINGS, JudgeConfig
from kasasagi.tasks.judge.methods import Method, asked_aspects, method_of
from kasasagi.tasks.judge.replies.distribution import BY_DISTRIBUTION, Places, by_distribution
from kasasagi.tasks.judge.replies.lines import UnreadableReply, Verdict, refuse
from kasasagi.tasks.judge.replies.places import rating_places
from kasasagi.tasks.judge.replies.together import together_places
from kasasagi.tasks.judge.requests import JudgeRequest, judge_requests_for, repair_request
from kasasagi.tasks.judge.stage import JUDGE
from kasasagi.tasks.judge.verify.ranking import rows_to_rank
from kasasagi.tasks.judge.verify.work import check_answers
from kasasagi.tasks.judge.votes import Aggregation, by_prompt_id, to_confirm
from kasasagi.tasks.stage import Guess
from kasasagi.tasks.text.endings import cut_off_detail, is_cut_off
from kasasagi.tasks.text.thoughts.thinking import begins_with_thinking, holds_end_of_thinking, split_thinking

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class JudgeReply:
    """What came of a request: the verdicts, one for each response as shown, or why they cannot be read."""

    judge_request: JudgeRequest
    answer: Answered
    verdicts: tuple[Verdict, ...] = ()
    problem: UnreadableReply | None = None


@dataclass(frozen=True, slots=True)
class JudgePanel:
    """The judges of one chunk of responses, and how their ratings are aggregated."""

    session: Session
    config: JudgeConfig
    aggregation: Aggregation
    method: Method
    chunk: int = 0

    def ask(
        self, judge_requests: Sequence[JudgeRequest], then: Then | None = None
    ) -> tuple[list[JudgeReply], list[Answered]]:
        """Return the parsed reply to each request, unreadable ones asked for once more; and every answer."""
        first = ask(
            self.session, [judge_request.question for judge_request in judge_requests], JUDGE.name, self.chunk, then
        )
        parsed = [
            self.parse(judge_request, answer) for judge_request, answer in zip(judge_requests, first, strict=True)
        ]
        if not self.config.repairs or self.config.method == "reward":
            return parsed, first
        repaired, second = self._repair(parsed)
        return repaired, [*first, *second]

    def _repair(self, parsed: Sequence[JudgeReply]) -> tuple[list[JudgeReply], list[Answered]]:
        broken = [one for one in parsed if one.problem is not None and one.answer.completion.error is None]
        again = [
            repair_request(
                self.session,
                self.config,
                one.judge_request,
                one.answer.completion.text,
                one.problem.detail if one.problem else "",
            )
            for one in broken
        ]
        answers = ask(self.session, [judge_request.question for judge_request in again], JUDGE.name, self.chunk)
        second = {id(old): self.parse(new, answer) for old, new, answer in zip(broken, again, answers, strict=True)}
        return [second.get(id(one), one) for one in parsed], answers

    def parse(self, judge_request: JudgeRequest, answer: Answered) -> JudgeReply:
        """Parse the judge's reply to a request."""
        texts = [row["content"] for row in judge_request.responses]
        try:
            method = judge_request.method or self.method
            verdicts = read_answer(method, answer, texts, judge_request.aspects[0], judge_request.data)
            if self.config.read == "distribution":
                verdicts = self._weighed(judge_request, verdicts, answer, texts)
            return JudgeReply(judge_request, answer, tuple(verdicts))
        except UnreadableReply as error:
            return JudgeReply(judge_request, answer, problem=error)

    def _weighed(
        self, judge_request: JudgeRequest, verdicts: Sequence[Verdict], answer: Answered, texts: Sequence[str]
    ) -> list[Verdict]:
        """Return verdicts by the probabilities of what the judge could have written."""
        if (own := judge_request.method) is not None:
            return [own.weighed(one, answer, texts, judge_request.data) for one in verdicts]
        shown = [*texts, *judge_request.data]
        return by_distribution(verdicts, answer, self.config.scale, shown, self._places())

    def _places(self) -> Places:
        """Return what finds the ratings in a reply."""
        return partial(together_places, asked_aspects(self.config)) if self.config.together else rating_places

    def confirmation_requests(self, prompts: Rows, responses: Rows, parsed: Sequence[JudgeReply]) -> list[JudgeRequest]:
        """Return the requests in the second order, where the first leaves the margin that a pair needs."""
        ratings = [row for one in parsed for row in ratings_of(one)]
        wanted = to_confirm(self.config, self.aggregation, responses, ratings)
        some = [prompt for prompt in prompts if prompt["prompt_id"] in wanted]
        return judge_requests_for(self.session, self.config, some, by_prompt_id(responses), ORDERINGS[1:])


def read_answer(
    method: Method, answer: Answered, texts: Sequence[str], aspect: str = "", data: Sequence[str] = ()
) -> list[Verdict]:
    """Return the verdict on each of the texts that a judge was shown.

    Args:
        method: The way in which it was asked.
        answer: Its answer.
        texts: The texts in the order in which it saw them.
        aspect: What they were judged by.
        data: All else that it was shown and that came from data.

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
    return method.read(words, texts, aspect, data)


def _thought_aloud(completion: Completion) -> bool:
    """Return whether a reply says by itself where thinking begins."""
    return bool(completion.reasoning and completion.reasoning.strip()) or begins_with_thinking(completion.text)


def _holds_end_of_thinking(answer: Answered) -> bool:
    """Return whether a text that the judge was shown holds what ends thinking, so that the judge may have quoted it."""
    return any(holds_end_of_thinking(turn["content"]) for turn in answer.question.request["messages"])


class Rate(Protocol):
    """Has some responses rated by the judges."""

    def __call__(self, panel: JudgePanel, prompts: Rows, responses: Rows) -> ChunkResult:
        """Return the ratings, the quarantined rows, and every answer."""


def rate_responses(panel: JudgePanel, prompts: Rows, responses: Rows) -> ChunkResult:
    """Have the responses rated in the orders that the recipe asks for."""
    config = panel.config
    judge_requests = judge_requests_for(panel.session, config, prompts, by_prompt_id(responses))
    parsed, answered = panel.ask(
        judge_requests, partial(_second_order, config, judge_requests) if config.confirms else None
    )
    if config.confirms:
        more, further = panel.ask(panel.confirmation_requests(prompts, responses, parsed))
        parsed, answered = [*parsed, *more], [*answered, *further]
    return sort_verdicts(panel, prompts, responses, parsed, answered)


def judge_chunk(
    session: Session, config: JudgeConfig, aggregation: Aggregation, job: ChunkJob, rate: Rate = rate_responses
) -> Handle:
    """Have one chunk of responses rated and keep the ratings."""
    started = time.monotonic()
    prompts: Rows = read_rows(session.run, job.inputs["prompts"])
    responses: Rows = read_rows(session.run, job.inputs.get("responses"))
    checked = check_answers(session, config, prompts, responses) if config.ranks_correct else None
    if checked is not None:
        aggregation = aggregation.to_rank()
        prompts, responses = rows_to_rank(prompts, responses, checked.rows["ratings"])
    panel = JudgePanel(session, config, aggregation, method_of(config, session.base), job.chunk)
    result = rate(panel, prompts, responses)
    if checked is not None:
        result = _together(checked, result)
    return keep_chunk(session.run, session.models, job, result, started)


def _together(checked: ChunkResult, ranked: ChunkResult) -> ChunkResult:
    """Return the verdicts of the checker and of the judges as one result."""
    rows = {name: [*checked.rows[name], *ranked.rows[name]] for name in ("ratings", "quarantine")}
    return replace(
        ranked,
        rows_in=checked.rows_in + ranked.rows_in,
        rows_out=checked.rows_out + ranked.rows_out,
        rows=rows,
        passing=checked.passing,
    )


def _second_order(config: JudgeConfig, judge_requests: Sequence[JudgeRequest], place: int) -> list[Guess]:
    """Return the second order of a request, which only the first's margin calls for."""
    question = judge_requests[place].question
    return [Guess(question.label, 1, prompt_tokens(question.request), config.sampling.max_tokens)]


def sort_verdicts(
    panel: JudgePanel, prompts: Rows, responses: Rows, parsed: Sequence[JudgeReply], answered: Sequence[Answered]
) -> ChunkResult:
    """Ratings, and the responses that lack one of some judge under some aspect, with the reason and its raw words.

    A response counts as rated by a judge under an aspect only if every order of it that was asked could be read.
    answered holds every call.
    """
    config = panel.config
    ratings: list[dict[str, Any]] = []
    problems: dict[tuple[str, str, str], tuple[str, str | None, str]] = {}
    seen: set[tuple[str, str, str]] = set()
    for one in parsed:
        marks = [
            (row["response_id"], aspect, one.judge_request.vote.name)
            for aspect in one.judge_request.aspects
            for row in one.judge_request.responses
        ]
        seen.update(marks)
        ratings += ratings_of(one)
        if one.problem is not None:
            words = (one.problem.reason, one.problem.detail, one.answer.completion.text)
            problems.update({mark: words for mark in marks if mark not in problems})
    wanted = [(row, aspect, vote.name) for row in responses for aspect in config.criteria for vote in config.votes]
    why = _reasons_not_asked(panel, prompts, responses)
    quarantine = [
        quarantine_unrated(
            config, row, aspect, name, problems.get((row["response_id"], aspect, name)) or why[row["prompt_id"]]
        )
        for row, aspect, name in wanted
        if (row["response_id"], aspect, name) in problems or (row["response_id"], aspect, name) not in seen
    ]
    rows = {"ratings": ratings, "quarantine": quarantine}
    more = {"ratings": BY_DISTRIBUTION} if config.read == "distribution" else {}
    return ChunkResult(len(wanted), len(wanted) - len(quarantine), rows, answered, more)


def ratings_of(one: JudgeReply) -> list[dict[str, Any]]:
    """Return one row for each verdict of a request; none where it could not be read."""
    judge_request = one.judge_request
    count = len(judge_request.responses)
    shown = (
        (aspect, place, row, one.verdicts[number * count + place - 1])
        for number, aspect in enumerate(judge_request.aspects if one.verdicts else ())
        for place, row in enumerate(judge_request.responses, start=1)
    )
    return [
        {
            "response_id": row["response_id"],
            "prompt_id": judge_request.prompt_id,
            "judge": judge_request.vote.name,
            "aspect": aspect,
            "ordering": judge_request.ordering,
            "place": place,
            "rating": float(verdict.rating),
            "rationale": verdict.rationale,
            "call_id": one.answer.call.key,
            **({"text_rating": verdict.text_rating, "read": verdict.read} if verdict.read else {}),
        }
        for aspect, place, row, verdict in shown
    ]


def _reasons_not_asked(panel: JudgePanel, prompts: Rows, responses: Rows) -> dict[str, tuple[str, str | None, str]]:
    """For each prompt why a response to it is not shown to the judges, if it is not."""
    method, left = panel.method, by_prompt_id(responses)
    why: dict[str, tuple[str, str | None, str]] = {}
    for prompt in prompts:
        count = len(left.get(prompt["prompt_id"], ()))
        if count < 2:
            why[prompt["prompt_id"]] = "nothing_to_compare", "no other answer to this prompt is left", ""
        elif (problem := method.problem(prompt)) is not None:
            why[prompt["prompt_id"]] = "template", problem, ""
        else:
            why[prompt["prompt_id"]] = "not_compared", f"it is in none of the {panel.config.matches} matches", ""
    return why


def quarantine_unrated(
    config: JudgeConfig, row: Mapping[str, Any], aspect: str, judge: str, problem: tuple[str, str | None, str]
) -> dict[str, Any]:
    """Return the quarantine row of a mark that is missing; it names the judge where there are several."""
    reason, detail, words = problem
    payload = {"prompt_id": row["prompt_id"], "response_id": row["response_id"], "aspect": aspect, "reply": words}
    name = [row["response_id"], aspect]
    if len(config.votes) > 1:
        name, payload = [*name, judge], {**payload, "judge": judge}
    return quarantine_row(JUDGE.name, digest(name), reason, detail, payload)
