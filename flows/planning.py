"""`kasasagi plan`: the flow's own functions, run by a planner that makes no calls."""

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager

from kasasagi.blocks.dispatch.dispatcher import Dispatcher
from kasasagi.blocks.engines.kinds import engines_for
from kasasagi.blocks.ledger.claims import Claims
from kasasagi.blocks.workspace.runs import Run, Workspace
from kasasagi.flows.preference import make_pairs, make_prompts
from kasasagi.flows.recipe.loading import LoadedRecipe
from kasasagi.flows.run.lifecycle import new_run_id, session_with
from kasasagi.flows.run.options import Options
from kasasagi.flows.run.plan.counting import StagePlan
from kasasagi.flows.run.plan.planner import Planner
from kasasagi.tasks.asking import Session
from kasasagi.tasks.context import Context


class PlanError(Exception):
    """Raised for a call in a plan, which makes none."""


def plan_recipe(
    loaded: LoadedRecipe, workspace: Workspace, limit: int | None, ask_again: frozenset[str]
) -> list[StagePlan]:
    """Return what a run of the recipe would ask, without asking anything; leaves no run behind."""
    workspace.prepare()
    run = Run(workspace, new_run_id(f"plan-{loaded.recipe.name}"))
    run.folder.mkdir(parents=True)
    try:
        with _silent_session(loaded, run, ask_again) as session:
            context = Context(session, loaded.recipe, loaded.base, limit)
            _ = context.counter  # a missing tokenizer fails here as in a run
            planner = Planner(context)
            asyncio.run(_plan(planner))
            return planner.plans()
    finally:
        shutil.rmtree(run.folder, ignore_errors=True)


async def _plan(planner: Planner) -> None:
    await make_pairs(planner, await make_prompts(planner))


@contextmanager
def _silent_session(loaded: LoadedRecipe, run: Run, ask_again: frozenset[str]) -> Iterator[Session]:
    engines = engines_for(loaded.recipe.models, base=loaded.base)
    dispatcher = Dispatcher(loaded.recipe.models, engines, run.workspace.ledger_folder)
    dispatcher.stop(PlanError("a plan makes no calls"))
    options = Options(run.workspace, ask_again=ask_again)
    with closing(dispatcher), Claims(run.workspace, run.id) as claims:
        yield session_with(dispatcher, engines, claims, loaded, run, options)
