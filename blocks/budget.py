"""Budgets: what a run, or one model in it, may spend in dollars, tokens and calls; each call reserves what it may cost.

A call goes out only if what is spent, what is reserved for calls on their way, what it may cost itself and what later
stages still need of the plan fit into the budget together. One that would fit if calls on their way turned out cheaper
waits; one that cannot fit is refused, and ends its chunk with BudgetSpentError.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from blocks.configuration import Budget
from blocks.estimates import Estimates, counted, prompt_tokens
from blocks.lanes import Job
from blocks.llm import Completion
from blocks.models import ModelConfig, OpenAIModel, price_of

Unit = Literal["usd", "tokens", "calls"]
UNITS: tuple[Unit, ...] = ("usd", "tokens", "calls")
ROUNDING = 1e-9


class BudgetSpentError(Exception):
    """The budget does not reach for another call."""

    exit_code = 4


@dataclass(frozen=True, slots=True)
class Cost:
    """What a call, or many, take."""

    usd: float = 0.0
    tokens: float = 0.0
    calls: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.usd + other.usd, self.tokens + other.tokens, self.calls + other.calls)

    def __sub__(self, other: "Cost") -> "Cost":
        return Cost(self.usd - other.usd, self.tokens - other.tokens, self.calls - other.calls)

    def times(self, factor: float) -> "Cost":
        """So many times as much."""
        return Cost(self.usd * factor, self.tokens * factor, self.calls * factor)

    def at_least_nothing(self) -> "Cost":
        """This without what is less than nothing."""
        return Cost(max(0.0, self.usd), max(0.0, self.tokens), max(0.0, self.calls))


class Purse:
    """One budget: its caps, what is spent of it, and what is reserved."""

    def __init__(self, name: str, key: str, budget: Budget) -> None:
        self._name, self._key, self._budget = name, key, budget
        self.spent = self.reserved = Cost()

    def exceeded(self, cost: Cost) -> Unit | None:
        """The unit of which there is too little for a cost beside what is spent, if there is any."""
        for unit in UNITS:
            cap = getattr(self._budget, unit)
            if cap is not None and getattr(self.spent, unit) + getattr(cost, unit) > cap * (1 + ROUNDING):
                return unit
        return None

    def refusal(self, unit: Unit, label: str, cost: Cost, owed: Cost) -> BudgetSpentError:
        """Why another call to a model is not paid for, and what to do."""
        kept = f", and {shown(unit, getattr(owed, unit))} are kept for later stages" if getattr(owed, unit) else ""
        return BudgetSpentError(
            f"the budget of {shown(unit, getattr(self._budget, unit))}{self._name} does not reach for another call to "
            f"{label!r}, which may take {shown(unit, getattr(cost, unit))}: {shown(unit, getattr(self.spent, unit))} "
            f"are spent{kept}; what was paid for is kept: raise {self._key}.{unit} and run again to go on"
        )


class Purses:
    """The budgets of one run; lives in the dispatcher's loop."""

    def __init__(self, budget: Budget, models: Mapping[str, ModelConfig]) -> None:
        self._models = models
        self._run = Purse("", "budget", budget)
        self._of_models = {
            label: Purse(f" for model {label!r}", f"models.{label}.budget", model.budget)
            for label, model in models.items()
            if isinstance(model, OpenAIModel) and model.budget != Budget()
        }
        self.limits_anything = budget != Budget() or bool(self._of_models)
        self._estimates = Estimates()
        self._reserved: dict[str, tuple[Job, Cost]] = {}
        self._planned: dict[int, Cost] = {}
        self._done: dict[int, Cost] = defaultdict(Cost)

    def foresee(self, plans: Mapping[int, Cost]) -> None:
        """Learn what the stages of some ranks are going to take from now on, so that later ones keep their share."""
        self._planned = dict(plans)
        self._done.clear()
        for job, cost in self._reserved.values():
            self._done[job.rank] += cost

    def reserve(self, job: Job) -> bool:
        """Reserve, once, what a call may take; False if it has to wait for others. Raises BudgetSpentError."""
        if job.key in self._reserved:
            return True
        cost = self._expected(job)
        owed = self._owed(job.rank, cost)
        for purse, kept in ((self._run, owed), *((purse, Cost()) for purse in self._purses(job.label)[1:])):
            if purse.exceeded(cost + kept + purse.reserved) is None:
                continue
            if (unit := purse.exceeded(cost + kept)) is None and purse.reserved.calls > ROUNDING:
                return False
            raise purse.refusal(unit or "calls", job.label, cost, kept)
        self._reserved[job.key] = (job, cost)
        self._done[job.rank] += cost
        for purse in self._purses(job.label):
            purse.reserved += cost
        return True

    def settle(self, key: str, completion: Completion | None) -> None:
        """Put what a call took in the place of what was reserved for it; nothing if it failed or was never sent.

        A generation that broke off takes the tokens that the server has counted for it, but is no answered call.
        """
        if (found := self._reserved.pop(key, None)) is None:
            return
        job, reserved = found
        taken = self._taken(job, completion) if completion is not None else Cost()
        self._done[job.rank] += taken - reserved
        for purse in self._purses(job.label):
            purse.reserved -= reserved
            purse.spent += taken

    def _taken(self, job: Job, completion: Completion) -> Cost:
        if completion.transient:
            broken_off = self._cost(job.label, completion.prompt_tokens, completion.completion_tokens)
            return replace(broken_off, calls=0.0)
        completion = counted(job.request, completion)
        self._estimates.learn(job.label, job.rank, completion)
        return self._cost(job.label, completion.prompt_tokens, completion.completion_tokens)

    def _purses(self, label: str) -> list[Purse]:
        return [self._run, *([self._of_models[label]] if label in self._of_models else [])]

    def _expected(self, job: Job) -> Cost:
        answer = self._estimates.completion_tokens(job.label, job.rank, job.request)
        return self._cost(job.label, prompt_tokens(job.request), answer)

    def _cost(self, label: str, prompt: int, completion: int) -> Cost:
        return Cost(price_of(self._models[label]).cost(prompt, completion), prompt + completion, 1)

    def _owed(self, rank: int, cost: Cost) -> Cost:
        """What later stages will need for what this stage has asked for so far, this call with it."""
        planned = self._planned.get(rank)
        if planned is None or planned.calls <= 0:
            return Cost()
        share = min(1.0, (self._done[rank].calls + cost.calls) / planned.calls)
        later = (other for other in self._planned if other > rank)
        return total((self._planned[one].times(share) - self._done[one]).at_least_nothing() for one in later)


def total(costs: Iterable[Cost]) -> Cost:
    """The sum of some costs."""
    return sum(costs, Cost())


def shown(unit: Unit, amount: float) -> str:
    """An amount as a person reads it."""
    if unit == "usd":
        return f"${amount:,.2f}" if amount >= 1 or not amount else f"${amount:,.4f}"
    return f"{amount:,.0f} {unit if round(amount) != 1 else unit.removesuffix('s')}"
