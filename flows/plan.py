"""What a run will spend, said before it is spent: calls, what the ledger has, tokens and dollars."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pydantic import Field

from blocks.dispatcher import Question
from blocks.estimates import TOKENS_GUESSED, prompt_tokens
from blocks.llm import Completion
from blocks.models import Config, price_of
from blocks.shards import Shard
from flows.jobs import Stages
from flows.late import Late
from tasks import given, respond, synthesize
from tasks.asking import Answered, known_answers, read_rows
from tasks.judge import stage as judge
from tasks.judge.config import JudgeConfig
from tasks.judge.methods import method_of
from tasks.judge.sittings import sittings_for
from tasks.judge.votes import by_prompt_id
from tasks.rewrite import stage as rewrite
from tasks.semantic import stage as semantic
from tasks.tags import stage as tags

PROMPT_TOKENS_GUESSED = 64
JUDGE_TOKENS_GUESSED = 200


class StagePlan(Config):
    """What one stage will ask for."""

    stage: str = Field(description="The stage.")
    calls: int = Field(description="Calls in all.")
    known: int = Field(description="Calls whose answers are in the ledger.")
    at_most: bool = Field(False, description="Whether the calls are an upper bound, since earlier answers decide.")
    prompt_tokens: int = Field(0, description="Prompt tokens to pay for, estimated from the texts.")
    completion_tokens: int = Field(0, description="Completion tokens to pay for, estimated from known answers.")
    cost_usd: float = Field(0.0, description="Dollars to pay, estimated.")

    @property
    def to_pay(self) -> int:
        """Calls that will be sent."""
        return self.calls - self.known

    def plus(self, other: "StagePlan") -> "StagePlan":
        """This and a further part of the same stage."""
        sums = {name: getattr(self, name) + getattr(other, name) for name in _ADDED}
        return self.model_copy(update={**sums, "at_most": self.at_most or other.at_most})

    def sentence(self) -> str:
        """The plan as one line."""
        bound = "up to " if self.at_most else ""
        money = f", about ${self.cost_usd:,.2f}" if self.cost_usd >= 0.005 else ""
        known = f"{self.known:,} in the ledger"
        return f"{self.stage}: {bound}{self.calls:,} calls, {known}, {bound}{self.to_pay:,} to pay for{money}"


_ADDED = ("calls", "known", "prompt_tokens", "completion_tokens", "cost_usd")


class Count:
    """Adds up the calls of one stage, or of a part of it."""

    def __init__(self, stages: Stages, stage: str) -> None:
        self._models = stages.session.models
        self._stage = stage
        self._calls = 0
        self._known = 0
        self._guessed = 0
        self._unknown: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
        self._answers: dict[str, list[int]] = defaultdict(lambda: [0, 0])

    def add(self, questions: Sequence[Question], known: Mapping[str, Completion]) -> None:
        """Count some questions."""
        for question in questions:
            self._calls += 1
            answer = known.get(question.key)
            if answer is not None:
                self._known += 1
                self._answers[question.label][0] += 1
                self._answers[question.label][1] += answer.completion_tokens
            else:
                unknown = self._unknown[question.label]
                unknown[0] += 1
                unknown[1] += prompt_tokens(question.request)
                unknown[2] = (
                    0 if "input" in question.request else int(question.request.get("max_tokens") or TOKENS_GUESSED)
                )

    def guess(self, label: str, calls: int, prompt_tokens: int, most_tokens: int | None) -> None:
        """Count calls that depend on answers which are not there yet."""
        self._calls += calls
        self._guessed += calls
        unknown = self._unknown[label]
        unknown[0] += calls
        unknown[1] += prompt_tokens
        unknown[2] = TOKENS_GUESSED if most_tokens is None else most_tokens

    def plan(self) -> StagePlan:
        """The sum."""
        prompt = completion = 0
        cost = 0.0
        for label, (calls, tokens, most) in self._unknown.items():
            answered, of_them = self._answers[label]
            mean = of_them / answered if answered else min(most, TOKENS_GUESSED)
            prompt += tokens
            completion += int(calls * mean)
            cost += price_of(self._models[label]).cost(tokens, int(calls * mean))
        return StagePlan(
            stage=self._stage,
            calls=self._calls,
            known=self._known,
            at_most=self._guessed > 0,
            prompt_tokens=prompt,
            completion_tokens=completion,
            cost_usd=cost,
        )


def plan_synthesize(stages: Stages, draws: int) -> StagePlan:
    """The draws of a Magpie source, as far as they are foreseen."""
    count = Count(stages, synthesize.STAGE)
    for chunk in range(-(-draws // synthesize.DRAWS_IN_A_CHUNK)):
        questions = [one.question for one in synthesize.draws_for(stages.session, stages.steering, chunk, draws)]
        count.add(questions, known_answers(stages.session, questions))
    return count.plan()


def plan_questions(stages: Stages, stage: str, chunks: Sequence[Shard]) -> StagePlan:
    """What one of the stages between the filter and the responders will ask about some chunks of prompts."""
    count = Count(stages, stage)
    for chunk in chunks:
        questions = Late(stages).questions(stage, read_rows(stages.session.run, chunk))
        count.add(questions, known_answers(stages.session, questions))
    return count.plan()


def guess_refinement(stages: Stages, prompts: int, known: Collection[str]) -> list[StagePlan]:
    """What the stages between the filter and the responders will ask at most, where they are not planned yet."""
    recipe, plans = stages.recipe, []
    made = prompts * (len(recipe.rewrite.methods) if recipe.rewrite else 0)
    for stage, config, calls in (
        (tags.STAGE, recipe.tags, prompts + made if tags.STAGE not in known else made),
        (semantic.STAGE, recipe.semantic, prompts if semantic.STAGE not in known else 0),
        (rewrite.STAGE, recipe.rewrite, made if rewrite.STAGE not in known else 0),
    ):
        if config is not None and calls:
            count = Count(stages, stage)
            sampling = getattr(config, "sampling", None)
            tokens = calls * (JUDGE_TOKENS_GUESSED if sampling else PROMPT_TOKENS_GUESSED)
            count.guess(config.model, calls, tokens, sampling.max_tokens if sampling else 0)
            plans.append(count.plan())
    return plans


def plan_answers(stages: Stages, chunks: Sequence[Shard]) -> list[StagePlan]:
    """What respond and judge will ask; the judge's calls are exact where all answers to a prompt are known."""
    responding, judging = Count(stages, respond.STAGE), Count(stages, judge.STAGE)
    for chunk in chunks if stages.recipe.answers else ():
        _plan_chunk(stages, read_rows(stages.session.run, chunk), responding, judging)
    return _plans(stages, responding, judging)


def _plans(stages: Stages, responding: Count, judging: Count) -> list[StagePlan]:
    """The plans of both stages; of the first alone where nobody judges."""
    if not stages.recipe.answers:
        return []
    asking = [] if stages.recipe.given else [responding.plan()]
    return [*asking, *([judging.plan()] if stages.recipe.judging else [])]


def guess_answers(stages: Stages, prompts: int, earlier: int = 0) -> list[StagePlan]:
    """What respond and judge will ask at most for a number of prompts that nobody knows yet.

    earlier is how many tokens stand before the last turn of each.
    """
    recipe = stages.recipe
    responding, judging = Count(stages, respond.STAGE), Count(stages, judge.STAGE)
    answers = 0
    for responder in recipe.respond.models:
        calls = prompts * (responder.samples or recipe.respond.samples)
        tokens = calls * (earlier + PROMPT_TOKENS_GUESSED)
        responding.guess(responder.use, calls, tokens, recipe.respond.sampling.max_tokens)
        answers += calls
    if recipe.judging is not None and answers > prompts:
        _guess_judging(recipe.judging, judging, prompts, answers, earlier)
    return _plans(stages, responding, judging)


def _guess_judging(config: JudgeConfig, judging: Count, prompts: int, answers: int, earlier: int = 0) -> None:
    """Count the judges' calls for some prompts whose answers are not there yet."""
    groups = method_of(config).groups("", -(-answers // max(1, prompts)))
    times = prompts * len(config.marks) * len(config.orderings)
    tokens = (earlier + JUDGE_TOKENS_GUESSED) * len(groups) + TOKENS_GUESSED * sum(map(len, groups))
    for voice in config.voices:
        judging.guess(voice.use, times * len(groups), times * tokens, config.sampling.max_tokens)


def _plan_chunk(stages: Stages, prompts: list[dict[str, Any]], responding: Count, judging: Count) -> None:
    session, recipe = stages.session, stages.recipe
    if recipe.given:
        _plan_given(stages, prompts, judging)
        return
    asked = respond.questions_for(session, recipe.respond, prompts)
    known = known_answers(session, [one.question for one in asked])
    responding.add([one.question for one in asked], known)
    unanswered = {one.prompt_id for one in asked if one.question.key not in known}
    ready = [one for one in asked if one.prompt_id not in unanswered]
    answers = [Answered(one.question, known[one.question.key], True) for one in ready]
    result = respond.sort_answers(recipe.respond, prompts, ready, answers)
    if recipe.judging is not None:
        _plan_judging(stages, recipe.judging, judging, prompts, result.rows["responses"])
        if unanswered and len(asked) > len(prompts):
            guessed = len(unanswered) * len(asked) // max(1, len(prompts))
            _guess_judging(recipe.judging, judging, len(unanswered), guessed)


def _plan_given(stages: Stages, prompts: list[dict[str, Any]], judging: Count) -> None:
    """Count the judges' calls for responses that the source holds."""
    if stages.recipe.judging is not None and stages.given is not None:
        found = given.take(prompts, given.given_to(stages.session.run, stages.given, prompts))
        _plan_judging(stages, stages.recipe.judging, judging, prompts, found.rows["responses"])


def _plan_judging(
    stages: Stages,
    config: JudgeConfig,
    judging: Count,
    prompts: list[dict[str, Any]],
    responses: list[dict[str, Any]],
) -> None:
    """Count the judges' calls for responses that are known; with a second order, as far as the first is known."""
    session, weighing = stages.session, stages.recipe.pairs.weighing()
    sittings = sittings_for(session, config, prompts, by_prompt_id(responses))
    known = known_answers(session, [sitting.question for sitting in sittings])
    judging.add([sitting.question for sitting in sittings], known)
    if not config.confirms:
        return
    bench = judge.Bench(session, config, weighing)
    silent = [sitting for sitting in sittings if sitting.question.key not in known]
    heard = [
        bench.hear(sitting, Answered(sitting.question, known[sitting.question.key], True))
        for sitting in sittings
        if sitting.question.key in known
    ]
    more = [sitting.question for sitting in bench.confirming(prompts, responses, heard)]
    judging.add(more, known_answers(session, more))
    for sitting in silent:
        judging.guess(sitting.voice.use, 1, prompt_tokens(sitting.question.request), config.sampling.max_tokens)
