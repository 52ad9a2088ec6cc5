"""Instructions alone as a Prefect flow: source, filter, publish; for a recipe without responses."""

from typing import Annotated

from prefect import State, flow
from pydantic import Field

from kasasagi.flows.preference import make_prompts
from kasasagi.flows.recipe.errors import RecipeError
from kasasagi.flows.recipe.loading import load_recipe
from kasasagi.flows.run.calling import RUNNER, fail_with_message, open_run, run_name


@flow(
    name="instructions",
    flow_run_name=run_name,
    task_runner=RUNNER,
    persist_result=False,
)
@fail_with_message
async def instructions(
    recipe: str,
    overrides: list[str] = [],  # noqa: B006 - Prefect's form shows a plain list only for a list; nobody changes it
    rows: Annotated[int, Field(ge=0)] = 0,
    workspace: str = "",
) -> State[str]:
    """Make a dataset of instructions from a recipe without respond. Running it again redoes only what is missing.

    Args:
        recipe: A recipe's file, or the name of one that ships with kasasagi.
        overrides: Changes to the recipe, each like source.target=500.
        rows: Make only that many instructions; 0 makes all.
        workspace: Folder of the ledger and the runs, or block:NAME of one that is saved in Prefect; empty means
            KASASAGI_WORKSPACE, else ./workspace.
    """
    loaded = load_recipe(recipe, overrides)
    if loaded.recipe.answers:
        raise RecipeError(
            f"the recipe {loaded.recipe.name} has models that respond, so it makes more than instructions: run it by "
            "the flow preference, or leave out respond, judge and pairs"
        )
    async with open_run(loaded, rows=rows, workspace=workspace) as run:
        await make_prompts(run)
        await run.publish()
    return run.final_state()
