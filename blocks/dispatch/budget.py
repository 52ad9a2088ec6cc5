"""Budgets: what a run, or one model in it, may spend in dollars, tokens and calls; each call reserves what it may cost.

A call goes out only if what is spent, what is reserved for calls on their way, what it may cost itself and what later
stages still need of the plan fit into the budget together. One that would fit if calls on their way turned out cheaper
waits; one that cannot fit is refused, and ends its chunk with BudgetSpentError.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from kasasagi.blocks.configuration import Budget
from kasasagi.blocks.dispatch.estimates import ENOUGH_ANSWERS, Estimates, prompt_tokens, with_token_counts
from kasasagi.blocks.dispatch.lanes import Job
from kasasagi.blocks.models.kinds import ModelConfig, OpenAIModel, price_of
from kasasagi.blocks.models.llm import Completion

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
        """Return so many times as much."""
        return Cost(self.usd * factor, self.tokens * factor, self.calls * factor)

    def scale(self, factors: "Cost") -> "Cost":
        """Return each unit times a factor of its own."""
        return Cost(self.usd * factors.usd, self.tokens * factors.tokens, self.calls * factors.calls)

    def at_least_nothing(self) -> "Cost":
        """Return this with negative amounts set to zero."""
        return Cost(max(0.0, self.usd), max(0.0, self.tokens), max(0.0, self.calls))


class BudgetLimit:
    """One budget: its caps, what is spent of it, and what is reserved."""

    def __init__(self, name: str, key: str, budget: Budget) -> None:
        self._name, self._key, self._budget = name, key, budget
        self.spent = self.reserved = Cost()

    def exceeded_unit(self, cost: Cost) -> Unit | None:
        """Return the unit of which there is too little for a cost beside what is spent, if there is any."""
        for unit in UNITS:
            cap = getattr(self._budget, unit)
            if cap is not None and getattr(self.spent, unit) + getattr(cost, unit) > cap * (1 + ROUNDING):
                return unit
        return None

    def share_of(self, planned: Cost) -> Cost:
        """Return what is left of the budget as a share of a plan; 1 where there is enough, or no cap.

        Calls are counted and not guessed, so that their share is always 1.
        """

        def share(unit: Unit) -> float:
            cap, wanted = getattr(self._budget, unit), getattr(planned, unit)
            if cap is None or wanted <= 0:
                return 1.0
            left = max(0.0, float(cap - getattr(self.spent, unit)))
            return min(1.0, left / float(wanted))

        return Cost(share("usd"), share("tokens"), 1.0)

    def refusal(self, unit: Unit, label: str, cost: Cost, owed: Cost) -> BudgetSpentError:
        """Return why another call to a model is not paid for, and what to do."""
        kept = f", and {shown(unit, getattr(owed, unit))} are reserved for later stages" if getattr(owed, unit) else ""
        return BudgetSpentError(
            f"the budget of {shown(unit, getattr(self._budget, unit))}{self._name} does not cover another call to "
            f"{label!r}, which may take {shown(unit, getattr(cost, unit))}: {shown(unit, getattr(self.spent, unit))} "
            f"are spent{kept}; what was paid for is kept: raise {self._key}.{unit} and run again to continue"
        )


class BudgetTracker:
    """The budgets of one run; lives in the dispatcher's loop."""

    def __init__(self, budget: Budget, models: Mapping[str, ModelConfig]) -> None:
        self._models = models
        self._run = BudgetLimit("", "budget", budget)
        self._of_models = {
            label: BudgetLimit(f" for model {label!r}", f"models.{label}.budget", model.budget)
            for label, model in models.items()
            if isinstance(model, OpenAIModel) and model.budget != Budget()
        }
        self.limits_anything = budget != Budget() or bool(self._of_models)
        self._estimates = Estimates()
        self._reserved: dict[str, tuple[Job, Cost]] = {}
        self._refused: dict[int, BudgetSpentError] = {}
        self._planned: dict[int, Cost] = {}
        self._guess_holds = Cost(1.0, 1.0, 1.0)
        self._settled: dict[int, Cost] = defaultdict(Cost)
        self._done: dict[int, Cost] = defaultdict(Cost)

    def reserve_for(self, plans: Mapping[int, Cost]) -> None:
        """Learn what the stages of some ranks are going to take from now on, so that later ones keep their share."""
        self._planned = dict(plans)
        self._guess_holds = self._run.share_of(total(plans.values()))
        self._done.clear()
        for job, cost in self._reserved.values():
            self._done[job.rank] += cost

    def reserve(self, job: Job) -> bool:
        """Reserve, once, what a call may take; False if it has to wait for others. Raises BudgetSpentError."""
        if job.key in self._reserved:
            return True
        if (refused := self._refused.get(job.rank)) is not None:
            raise refused
        cost = self._expected_cost(job)
        owed = self._cost_of_later_stages(job.rank, cost)
        for limit, kept in ((self._run, owed), *((limit, Cost()) for limit in self._limits_of(job.label)[1:])):
            if limit.exceeded_unit(cost + kept + limit.reserved) is None:
                continue
            if (unit := limit.exceeded_unit(cost + kept)) is None and limit.reserved.calls > ROUNDING:
                return False
            refusal = limit.refusal(unit or "calls", job.label, cost, kept)
            if limit is self._run:  # what is freed from now on belongs to the later stages of what is paid for already
                self._refused[job.rank] = refusal
            raise refusal
        self._reserved[job.key] = (job, cost)
        self._done[job.rank] += cost
        for limit in self._limits_of(job.label):
            limit.reserved += cost
        return True

    def settle(self, key: str, completion: Completion | None) -> None:
        """Put what a call took in the place of what was reserved for it; nothing if it failed or was never sent.

        A generation that broke off takes the tokens that the server has counted for it, but is no answered call.
        """
        if (found := self._reserved.pop(key, None)) is None:
            return
        job, reserved = found
        taken = self._actual_cost(job, completion) if completion is not None else Cost()
        if taken.calls:
            self._settled[job.rank] += taken
        self._done[job.rank] += taken - reserved
        for limit in self._limits_of(job.label):
            limit.reserved -= reserved
            limit.spent += taken

    def _actual_cost(self, job: Job, completion: Completion) -> Cost:
        if completion.transient:
            broken_off = self._cost(job.label, completion.prompt_tokens, completion.completion_tokens)
            return replace(broken_off, calls=0.0)
        completion = with_token_counts(job.request, completion)
        self._estimates.learn(job.label, job.rank, completion)
        return self._cost(job.label, completion.prompt_tokens, completion.completion_tokens)

    def _limits_of(self, label: str) -> list[BudgetLimit]:
        return [self._run, *([self._of_models[label]] if label in self._of_models else [])]

    def _expected_cost(self, job: Job) -> Cost:
        answer = self._estimates.completion_tokens(job.label, job.rank, job.request)
        return self._cost(job.label, prompt_tokens(job.request), answer)

    def _cost(self, label: str, prompt: int, completion: int) -> Cost:
        return Cost(price_of(self._models[label]).cost(prompt, completion), prompt + completion, 1)

    def _cost_of_later_stages(self, rank: int, cost: Cost) -> Cost:
        """Return what later stages will need for what this stage has asked for so far, this call with it."""
        planned = self._planned.get(rank)
        if planned is None or planned.calls <= 0:
            return Cost()
        share = min(1.0, (self._done[rank].calls + cost.calls) / planned.calls)
        later = (other for other in self._planned if other > rank)
        return total((self._cost_of_stage(one).times(share) - self._done[one]).at_least_nothing() for one in later)

    def _cost_of_stage(self, rank: int) -> Cost:
        """Return what a stage will take in all: by the mean of its answers, else by its plan.

        A plan guesses the length of answers. Where all plans together exceed the budget, each is scaled down to it, or
        a guess that is too high would keep the first chunk from ever being judged.
        """
        planned, settled = self._planned[rank], self._settled[rank]
        if settled.calls >= ENOUGH_ANSWERS:
            return settled.times(planned.calls / settled.calls)
        return planned.scale(self._guess_holds)


def total(costs: Iterable[Cost]) -> Cost:
    """Return the sum of some costs."""
    return sum(costs, Cost())


def shown(unit: Unit, amount: float) -> str:
    """Return an amount as a person reads it."""
    if unit == "usd":
        return f"${amount:,.2f}" if amount >= 1 else f"${amount:,.4f}" if amount else "$0"
    return f"{amount:,.0f} {unit if round(amount) != 1 else unit.removesuffix('s')}"
