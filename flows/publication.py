"""A run is published, as a Prefect flow: what an approval starts, or a person from the page."""

import asyncio
from pathlib import Path

from prefect import State, flow
from prefect.states import Completed

from kasasagi.blocks.workspace.runs import Run
from kasasagi.flows.errors import KasasagiError
from kasasagi.flows.mix import mix_runs
from kasasagi.flows.preference import make_pairs, make_prompts
from kasasagi.flows.rebuild.rebuild import recipe_of, republish
from kasasagi.flows.recipe.loading import LoadedRecipe
from kasasagi.flows.recipe.saved_blocks import saved_workspace
from kasasagi.flows.reporting.run_state import EXIT_GATE
from kasasagi.flows.run.calling import RUNNER, fail_with_message, open_run
from kasasagi.flows.run.driver import Driver
from kasasagi.flows.upkeep.stopped_runs import waiting_outcomes
from kasasagi.tasks.gate.approvals import remedy


@flow(
    name="publish",
    flow_run_name="publish-{run}",
    task_runner=RUNNER,
    persist_result=False,
)
@fail_with_message
async def publish(
    run: str,
    overrides: list[str] = [],  # noqa: B006 - Prefect's form shows a plain list only for a list; nobody changes it
    workspace: str = "",
) -> State[str]:
    """Publish a run. One that a gate stopped and a person has approved since is resumed first.

    Args:
        run: The run's id or its beginning.
        overrides: Changes to how it is published, each like publish.formats=[kto].
        workspace: Folder of the ledger and the runs, or block:NAME of one that is saved in Prefect; empty means
            KASASAGI_WORKSPACE, else ./workspace.
    """
    place = await saved_workspace(workspace)
    found = place.run(run)
    if found.state().exit_code == EXIT_GATE:
        return await _resume_run(found, overrides)
    released = await asyncio.to_thread(republish, place, run, overrides, False)
    message = f"{released.contents(found.product())} in {' and in '.join(released.places)}"
    return Completed(message=message, data=found.id)


async def _resume_run(run: Run, overrides: list[str]) -> State[str]:
    """Run a stopped run's recipe again, now that a person has approved; only what is missing is done."""
    _, unapproved = await asyncio.to_thread(waiting_outcomes, run.workspace, run.id)
    if unapproved:
        raise KasasagiError(f"the run {run.id} waits for a person: {remedy(run)}")
    base = Path(run.state().base)
    recipe = recipe_of(run, overrides, "publish")
    loaded, rows = LoadedRecipe(recipe=recipe, base=base), run.state().limit or 0
    async with open_run(loaded, rows=rows, workspace=str(run.workspace.folder)) as active:
        await (mix_runs(active) if recipe.mixes else _make_dataset(active))
        await active.publish()
    return active.final_state()


async def _make_dataset(run: Driver) -> None:
    await make_pairs(run, await make_prompts(run))
