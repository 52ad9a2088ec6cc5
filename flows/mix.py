"""Finished runs become one dataset, as a Prefect flow: their pairs without duplicates, with given shares."""

from typing import Annotated

from prefect import State, flow
from pydantic import Field

from kasasagi.flows.check.parts import part_lines, with_runs
from kasasagi.flows.recipe.errors import RecipeError
from kasasagi.flows.recipe.loading import load_recipe
from kasasagi.flows.recipe.saved_blocks import saved_workspace
from kasasagi.flows.run.calling import RUNNER, fail_with_message, open_run, run_name
from kasasagi.flows.run.driver import Driver
from kasasagi.tasks.filter.task import filter_prompts
from kasasagi.tasks.format_dpo.task import format_dpo
from kasasagi.tasks.judge.task import judge
from kasasagi.tasks.load.task import load
from kasasagi.tasks.mix.task import mix_pairs
from kasasagi.tasks.respond.task import respond


@flow(name="mix", flow_run_name=run_name, task_runner=RUNNER, persist_result=False)
@fail_with_message
async def mix(
    recipe: str,
    overrides: list[str] = [],  # noqa: B006 - Prefect's form shows a plain list only for a list; nobody changes it
    rows: Annotated[int, Field(ge=0)] = 0,
    workspace: str = "",
    new_only: bool = False,
) -> State[str]:
    """Make one dataset of the pairs of finished runs, without a model call.

    Args:
        recipe: The file of a recipe with source.kind: runs.
        overrides: Changes to the recipe, each like source.pairs=1000.
        rows: Take only that many pairs; 0 takes all.
        workspace: Folder of the ledger and the runs, or block:NAME of one that is saved in Prefect; empty means
            KASASAGI_WORKSPACE, else ./workspace.
        new_only: Publish only what no earlier run of the recipe published, as a version of its own.
    """
    loaded = load_recipe(recipe, overrides)
    if not loaded.recipe.mixes:
        raise RecipeError(f"the recipe {loaded.recipe.name} mixes no runs: run it by the flow preference")
    loaded = with_runs(loaded, await saved_workspace(workspace))
    async with open_run(loaded, rows=rows, workspace=workspace, new_only=new_only) as run:
        for line in part_lines(loaded):
            run.options.log(line)
        await mix_runs(run)
        await run.publish()
    return run.final_state()


async def mix_runs(run: Driver) -> None:
    """load → filter → mix: the prompts of all parts, once each; then as many pairs of each part as its share."""
    prompts = await run.whole(filter_prompts, await run.source(load))
    run.end_if_nothing_is_new(prompts)
    await run.gates(load, filter_prompts)
    await run.whole(mix_pairs, prompts)
    await run.gates(respond, judge, format_dpo, mix_pairs)
