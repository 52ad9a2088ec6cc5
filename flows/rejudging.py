"""What was published last is rated again and its labels audited, as a Prefect flow for a schedule."""

from blocks import quiet

quiet.switch_off_telemetry()

from prefect import flow, get_run_logger  # noqa: E402
from prefect.artifacts import acreate_markdown_artifact  # noqa: E402

from blocks.workspace import Workspace  # noqa: E402
from flows.artifacts import kept, slug  # noqa: E402
from flows.preference import RUNNER, run_here, run_name, told_in_a_sentence  # noqa: E402
from flows.published import of_last_published  # noqa: E402
from flows.recipe import load_recipe  # noqa: E402
from flows.rejudge import audit_of  # noqa: E402


@flow(
    name="rejudge",
    flow_run_name=run_name,
    task_runner=RUNNER,
    persist_result=False,
)
@told_in_a_sentence
async def rejudge(
    recipe: str = "quickstart",
    overrides: list[str] = [],  # noqa: B006 - Prefect's form shows a plain list only for a list; nobody changes it
    rows: int = 0,
    workspace: str = "",
) -> str:
    """Have the judges rate what the recipe published last, and audit its labels. Publishes nothing.

    Args:
        recipe: A recipe's file, or the name of one that travels with kasasagi.
        overrides: Changes to the recipe; judge.round=weekly asks again what the judges said in earlier weeks.
        rows: Rate only that many pairs; 0 rates all.
        workspace: Folder of the ledger and the runs; empty means KASASAGI_WORKSPACE, else ./workspace.
    """
    place = Workspace.named(workspace or None)
    loaded = of_last_published(load_recipe(recipe, overrides), place)
    run = place.run(await run_here(loaded, rows, workspace))
    audit = audit_of(run)
    for line in audit.sentences():
        get_run_logger().info(line)
    text, key = audit.markdown(), slug(f"{run.state().name}-audit")
    await kept(acreate_markdown_artifact(text, key=key, description=f"audit of {run.id}"))
    return run.id
