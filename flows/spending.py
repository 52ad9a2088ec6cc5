"""What the plans of stages mean for the budget: said to a person, and told to the dispatcher."""

from collections import defaultdict
from collections.abc import Callable, Sequence

from blocks.budget import UNITS, Cost, Unit, shown, total
from blocks.configuration import Budget
from flows.jobs import Stages
from flows.plan import StagePlan
from tasks import respond, synthesize
from tasks.converse import stage as converse
from tasks.judge import stage as judge

RANKS = {
    synthesize.STAGE: synthesize.RANK,
    converse.STAGE: converse.RANK,
    respond.STAGE: respond.RANK,
    judge.STAGE: judge.RANK,
}


def cost_of(plan: StagePlan) -> Cost:
    """What a stage will take, by its plan."""
    return Cost(plan.cost_usd, plan.prompt_tokens + plan.completion_tokens, plan.to_pay)


def budget_sentence(budget: Budget, plans: Sequence[StagePlan]) -> str | None:
    """What the plans take of the budget, in one line; None where there is no budget."""
    sum_of_all = total(map(cost_of, plans))
    caps: list[tuple[Unit, float]] = [(unit, getattr(budget, unit)) for unit in UNITS if getattr(budget, unit)]
    if not caps:
        return None
    parts = [f"about {shown(unit, getattr(sum_of_all, unit))} of {shown(unit, cap)}" for unit, cap in caps]
    over = any(getattr(sum_of_all, unit) > cap for unit, cap in caps)
    return f"budget: {', '.join(parts)}{'; the run will stop when it is spent' if over else ''}"


def tell_plans(
    stages: Stages, plans: Sequence[StagePlan], said: Callable[[str], None], later: Sequence[StagePlan] = ()
) -> None:
    """Say what some stages are going to take, and tell the dispatcher, with what later ones will need."""
    for plan in plans:
        said(plan.sentence())
    if (sentence := budget_sentence(stages.recipe.budget, [*plans, *later])) is not None:
        said(sentence)
    foreseen: dict[int, Cost] = defaultdict(Cost)
    for plan in [*plans, *later]:
        foreseen[RANKS[plan.stage]] += cost_of(plan)
    stages.session.dispatcher.foresee(foreseen)
