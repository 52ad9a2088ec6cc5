"""What was published last is rated again and its labels audited, as a Prefect flow for a schedule."""

from prefect import State, flow, get_run_logger
from prefect.artifacts import acreate_markdown_artifact

from kasasagi.flows.preference import make_pairs, make_prompts
from kasasagi.flows.rebuild.label_audit import audit_of
from kasasagi.flows.rebuild.last_publication import recipe_from_last_published
from kasasagi.flows.recipe.loading import load_recipe
from kasasagi.flows.recipe.saved_blocks import saved_workspace
from kasasagi.flows.reporting.artifacts import ignore_failure, slug
from kasasagi.flows.run.calling import RUNNER, fail_with_message, open_run, run_name


@flow(
    name="rejudge",
    flow_run_name=run_name,
    task_runner=RUNNER,
    persist_result=False,
)
@fail_with_message
async def rejudge(
    recipe: str = "quickstart",
    overrides: list[str] = [],  # noqa: B006 - Prefect's form shows a plain list only for a list; nobody changes it
    rows: int = 0,
    workspace: str = "",
) -> State[str]:
    """Have the judges rate what the recipe published last, and audit its labels. Publishes nothing.

    Args:
        recipe: A recipe's file, or the name of one that ships with kasasagi.
        overrides: Changes to the recipe; judge.round=weekly repeats what the judges rated in earlier weeks.
        rows: Rate only that many pairs; 0 rates all.
        workspace: Folder of the ledger and the runs, or block:NAME of one that is saved in Prefect; empty means
            KASASAGI_WORKSPACE, else ./workspace.
    """
    place = await saved_workspace(workspace)
    loaded = recipe_from_last_published(load_recipe(recipe, overrides), place)
    async with open_run(loaded, rows=rows, workspace=workspace) as active:
        await make_pairs(active, await make_prompts(active))
        await active.publish()
    run = active.session.run
    audit = audit_of(run)
    for line in audit.sentences():
        get_run_logger().info(line)
    text, key = audit.markdown(run), slug(f"{run.state().name}-audit")
    await ignore_failure(acreate_markdown_artifact(text, key=key, description=f"audit of {run.id}"))
    return active.final_state()
