"""A run is published, as a Prefect flow: what an approval starts, or a person from the page."""

from blocks import quiet

quiet.switch_off_telemetry()

import asyncio  # noqa: E402
from pathlib import Path  # noqa: E402

from prefect import flow, get_run_logger  # noqa: E402

from blocks.workspace import Run, Workspace  # noqa: E402
from flows.again import publish_again, recipe_of  # noqa: E402
from flows.errors import KasasagiError  # noqa: E402
from flows.execution import EXIT_GATE  # noqa: E402
from flows.preference import RUNNER, run_here, told_in_a_sentence  # noqa: E402
from flows.recipe import LoadedRecipe  # noqa: E402
from flows.waiting import waiting_outcomes  # noqa: E402
from tasks.gate.approvals import remedy  # noqa: E402


@flow(
    name="publish",
    flow_run_name="publish-{run}",
    task_runner=RUNNER,
    persist_result=False,
)
@told_in_a_sentence
async def publish(
    run: str,
    overrides: list[str] = [],  # noqa: B006 - Prefect's form shows a plain list only for a list; nobody changes it
    workspace: str = "",
) -> str:
    """Publish a run. One that a gate stopped and a person has approved since goes on from there first.

    Args:
        run: The run's id or its beginning.
        overrides: Changes to how it is published, each like publish.formats=[kto].
        workspace: Folder of the ledger and the runs; empty means KASASAGI_WORKSPACE, else ./workspace.
    """
    place = Workspace.named(workspace or None)
    found = place.run(run)
    if found.state().exit_code == EXIT_GATE:
        return await _gone_on_with(found, overrides)
    released = await asyncio.to_thread(publish_again, place, run, overrides, False)
    get_run_logger().info(f"{released.rows:,} rows in {' and in '.join(released.places)}")
    return found.id


async def _gone_on_with(run: Run, overrides: list[str]) -> str:
    """Run a stopped run's recipe again, now that a person has approved; only what is missing is done."""
    _, waiting = await asyncio.to_thread(waiting_outcomes, run.workspace, run.id)
    if waiting:
        raise KasasagiError(f"the run {run.id} waits for a person: {remedy(run.id)}")
    base = Path(run.state().base)
    recipe = recipe_of(run, overrides, "publish")
    return await run_here(LoadedRecipe(recipe=recipe, base=base), run.state().limit or 0, str(run.workspace.folder))
