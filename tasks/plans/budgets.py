"""What the plans of stages mean for the budget."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from kasasagi.blocks.configuration import Budget
from kasasagi.blocks.dispatch.budget import UNITS, Cost, Unit, shown, total
from kasasagi.tasks.plans.counting import StagePlan


def budget_sentence(budget: Budget, plans: Sequence[StagePlan]) -> str | None:
    """Return what the plans take of the budget, in one line; None where there is no budget."""
    sum_of_all = total(plan.cost for plan in plans)
    caps: list[tuple[Unit, float]] = [(unit, getattr(budget, unit)) for unit in UNITS if getattr(budget, unit)]
    if not caps:
        return None
    parts = [f"about {shown(unit, getattr(sum_of_all, unit))} of {shown(unit, cap)}" for unit, cap in caps]
    over = any(getattr(sum_of_all, unit) > cap for unit, cap in caps)
    return f"budget: {', '.join(parts)}{'; the run will stop when it is spent' if over else ''}"


def costs_by_rank(ranks: Mapping[str, int], plans: Sequence[StagePlan]) -> dict[int, Cost]:
    """Return what stages will take, by the rank of their calls, as the dispatcher keeps later stages their share."""
    costs: dict[int, Cost] = defaultdict(Cost)
    for plan in plans:
        costs[ranks.get(plan.stage, 0)] += plan.cost
    return costs
