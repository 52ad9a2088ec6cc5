"""The task that publishes."""

from typing import Any

from prefect.assets import Asset, materialize
from prefect.tasks import MaterializingTask

from kasasagi.blocks.workspace.runs import Run
from kasasagi.tasks.context import current
from kasasagi.tasks.publish.release import release
from kasasagi.tasks.tables.run_tables import open_tables

ASSET = "kasasagi://datasets"


@materialize(ASSET, name="publish", retries=0, persist_result=False)
def publish() -> dict[str, Any]:
    """Write the dataset, whole or not at all."""
    context = current()
    with open_tables(context.session.run) as connection:
        return release(context.recipe.publish, context.session.run, connection).model_dump(mode="json")


def publishing(run: Run) -> MaterializingTask[[], dict[str, Any]]:
    """Return the task that publishes a run, whose asset is named like its recipe."""
    return publish.with_options(assets=[Asset(key=f"{ASSET}/{run.state().name}")])
