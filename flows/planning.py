"""`kasasagi plan`: the flow's own functions, run by a planner that makes no calls."""

import asyncio

from kasasagi.blocks.dispatch.dispatcher import StoppedError
from kasasagi.blocks.workspace.runs import Workspace
from kasasagi.flows.preference import make_pairs, make_prompts
from kasasagi.flows.recipe.loading import LoadedRecipe
from kasasagi.flows.run.lifecycle import session_of
from kasasagi.flows.run.options import Options
from kasasagi.flows.run.planner import Planner
from kasasagi.tasks.context import Context
from kasasagi.tasks.plans.counting import StagePlan


def plan_recipe(
    loaded: LoadedRecipe, workspace: Workspace, limit: int | None, ask_again: frozenset[str]
) -> list[StagePlan]:
    """Return what a run of the recipe would ask, without asking anything; leaves no run behind. A mix asks nothing."""
    if loaded.recipe.mixes:
        return []
    workspace.prepare()
    without_cluster = loaded.model_copy(update={"recipe": loaded.recipe.model_copy(update={"runtime": None})})
    options = Options(workspace, ask_again=ask_again)
    with (
        workspace.temporary_run(f"plan-{loaded.recipe.name}") as run,
        session_of(without_cluster, run, options) as session,
    ):
        session.dispatcher.stop(StoppedError("a plan makes no calls"))
        context = Context(session, loaded.recipe, loaded.base, limit)
        _ = context.counter  # a missing tokenizer fails here as in a run
        planner = Planner(context)
        asyncio.run(_plan(planner))
        return planner.plans()


async def _plan(planner: Planner) -> None:
    await make_pairs(planner, await make_prompts(planner))
