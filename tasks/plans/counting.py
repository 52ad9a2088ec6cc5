"""What a stage will ask for, counted: calls, how many answers the ledger has, tokens and dollars."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import Field

from kasasagi.blocks.dispatch.budget import Cost
from kasasagi.blocks.dispatch.estimates import TOKENS_GUESSED, prompt_tokens
from kasasagi.blocks.dispatch.pending_requests import Question
from kasasagi.blocks.dispatch.sharing import alike, can_share
from kasasagi.blocks.models.kinds import Config, ModelConfig, OpenAIModel, price_of
from kasasagi.blocks.models.llm import Completion, Request
from kasasagi.tasks.stage import Guess


class StagePlan(Config):
    """What one stage will ask for."""

    stage: str = Field(description="The stage.")
    calls: int = Field(description="Calls in all.")
    known: int = Field(description="Calls whose answers are in the ledger.")
    at_most: bool = Field(False, description="Whether the calls are an upper bound, since earlier answers decide.")
    prompt_tokens: int = Field(0, description="Prompt tokens to pay for, estimated from the texts.")
    completion_tokens: int = Field(0, description="Completion tokens to pay for, estimated from known answers.")
    cost_usd: float = Field(0.0, description="Dollars to pay, estimated.")
    repairs: int = Field(0, description="Further calls at most, for replies that cannot be read.")

    @property
    def to_pay(self) -> int:
        """Calls that will be sent."""
        return self.calls - self.known

    @property
    def cost(self) -> Cost:
        """What the stage will take of a budget."""
        return Cost(self.cost_usd, self.prompt_tokens + self.completion_tokens, self.to_pay)

    def sentence(self) -> str:
        """Return the plan as one line."""
        bound = "up to " if self.at_most else ""
        money = f", about ${self.cost_usd:,.2f}" if self.cost_usd >= 0.005 else ""
        known = f"{self.known:,} in the ledger"
        plan = f"{self.stage}: {bound}{self.calls:,} calls, {known}, {bound}{self.to_pay:,} to pay for{money}"
        return f"{plan}; up to {self.repairs:,} more to repair unreadable replies" if self.repairs else plan


class Count:
    """Adds up the calls of one stage."""

    def __init__(self, stage: str, models: Mapping[str, ModelConfig], repairs: int) -> None:
        self._stage, self._models, self._repairs = stage, models, repairs
        self._answered: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        """Calls and completion tokens, by model."""
        self._unanswered: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
        """Calls, prompt tokens, and the most completion tokens of the last call, by model."""
        self._guessed = 0
        self._before: dict[str, tuple[Request, int]] = {}

    @property
    def to_pay(self) -> int:
        """Calls so far whose answers are not in the ledger."""
        return sum(calls for calls, _, _ in self._unanswered.values())

    def add(self, questions: Sequence[Question], known: Mapping[str, Completion]) -> None:
        """Count some questions."""
        for question in questions:
            if (answer := known.get(question.key)) is not None:
                self._add_answer(question.label, answer.completion_tokens)
            else:
                most = 0 if "input" in question.request else question.request.get("max_tokens") or None
                tokens = 0 if self._shares_prompt(question) else prompt_tokens(question.request)
                self._add_unanswered(Guess(question.label, 1, tokens, most))

    def add_earlier(self, calls: Iterable[Mapping[str, Any]]) -> None:
        """Count the calls of a chunk whose result an earlier run has left, by their model and completion_tokens."""
        for call in calls:
            self._add_answer(call["model"], call["completion_tokens"])

    def guess(self, guesses: Iterable[Guess]) -> None:
        """Count calls that depend on answers which are not there yet."""
        for one in guesses:
            self._guessed += one.calls
            self._add_unanswered(one)

    def _add_answer(self, label: str, completion_tokens: int) -> None:
        self._answered[label][0] += 1
        self._answered[label][1] += completion_tokens

    def _add_unanswered(self, calls: Guess) -> None:
        unanswered = self._unanswered[calls.model]
        unanswered[0] += calls.calls
        unanswered[1] += calls.prompt_tokens
        unanswered[2] = TOKENS_GUESSED if calls.most_tokens is None else calls.most_tokens

    def _shares_prompt(self, question: Question) -> bool:
        """Return whether a question shares the call of the one before it, whose prompt is counted already."""
        model, before = self._models[question.label], self._before.get(question.label)
        if not isinstance(model, OpenAIModel) or "messages" not in question.request:
            return False
        most = model.most_samples(model.addresses[0])
        first, count = before or (question.request, most)
        shares = count < most and can_share(question.request) and alike(first, question.request)
        self._before[question.label] = (question.request, count + 1 if shares else 1)
        return shares

    def plan(self) -> StagePlan:
        """Return the sum."""
        prompt = completion = 0
        cost = 0.0
        for label, (calls, tokens, most) in self._unanswered.items():
            answered, of_them = self._answered[label]
            expected = int(calls * (of_them / answered if answered else min(most, TOKENS_GUESSED)))
            prompt += tokens
            completion += expected
            cost += price_of(self._models[label]).cost(tokens, expected)
        known = sum(calls for calls, _ in self._answered.values())
        return StagePlan(
            stage=self._stage,
            calls=known + self.to_pay,
            known=known,
            at_most=self._guessed > 0,
            prompt_tokens=prompt,
            completion_tokens=completion,
            cost_usd=cost,
            repairs=self._repairs * self.to_pay,
        )
