"""`kasasagi plan`: the flow's own functions, taken through the stages by a planner that asks nobody."""

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from kasasagi.blocks.dispatch.dispatcher import Dispatcher
from kasasagi.blocks.engines.kinds import engines_for, identity_of
from kasasagi.blocks.ledger.claims import Claims
from kasasagi.blocks.workspace.runs import Run, Workspace
from kasasagi.flows.preference import make_pairs, make_prompts
from kasasagi.flows.recipe.model import LoadedRecipe
from kasasagi.flows.run.chunks import most_chunks
from kasasagi.flows.run.lifecycle import new_run_id
from kasasagi.flows.run.plan.counting import StagePlan
from kasasagi.flows.run.plan.planner import Planner
from kasasagi.tasks.asking import Session
from kasasagi.tasks.context import Context


class PlanError(Exception):
    """A plan asks nobody."""


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
    models, most = loaded.recipe.models, most_chunks(loaded.recipe.runtime)
    engines = engines_for(models, base=loaded.base)
    identities = {label: identity_of(model, engines, label) for label, model in models.items()}
    dispatcher = Dispatcher(models, engines, run.workspace.ledger_folder)
    dispatcher.stop(PlanError("a plan asks nobody"))
    try:
        claims = Claims(run.workspace, run.id)
        yield Session(run, models, identities, dispatcher, claims, ask_again, base=loaded.base, most_chunks=most)
    finally:
        dispatcher.close()
