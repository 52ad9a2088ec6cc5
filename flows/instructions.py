"""Instructions alone as a Prefect flow: source, filter, publish; for a recipe in which nobody answers."""

from blocks import quiet

quiet.switch_off_telemetry()

from prefect import flow  # noqa: E402

from flows.preference import RUNNER, run_here, run_name, told_in_a_sentence  # noqa: E402
from flows.recipe import load_recipe  # noqa: E402
from flows.recipe_errors import RecipeError  # noqa: E402


@flow(
    name="instructions",
    flow_run_name=run_name,
    task_runner=RUNNER,
    persist_result=False,
)
@told_in_a_sentence
async def instructions(
    recipe: str,
    overrides: list[str] = [],  # noqa: B006 - Prefect's form shows a plain list only for a list; nobody changes it
    rows: int = 0,
    workspace: str = "",
) -> str:
    """Make a dataset of instructions from a recipe without respond. Running it again redoes only what is missing.

    Args:
        recipe: A recipe's file, or the name of one that travels with kasasagi.
        overrides: Changes to the recipe, each like source.target=500.
        rows: Make only that many instructions; 0 makes all.
        workspace: Folder of the ledger and the runs; empty means KASASAGI_WORKSPACE, else ./workspace.
    """
    loaded = load_recipe(recipe, overrides)
    if loaded.recipe.answers:
        raise RecipeError(
            f"the recipe {loaded.recipe.name} has models that respond, so it makes pairs: run it by the flow "
            "preference, or leave out respond, judge and pairs"
        )
    return await run_here(loaded, rows, workspace)
