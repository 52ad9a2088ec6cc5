"""What Prefect's page says of a flow run from its beginning: which run it is, and of which recipe."""

from uuid import UUID

import yaml
from prefect.artifacts import acreate_markdown_artifact
from prefect.client.orchestration import get_client
from prefect.runtime import flow_run

from kasasagi.blocks.workspace.runs import Run
from kasasagi.flows.recipe.loading import LoadedRecipe
from kasasagi.flows.reporting.artifacts import ignore_failure, slug
from kasasagi.tasks.publish.card.markdown import code_block


async def introduce(run: Run, loaded: LoadedRecipe) -> None:
    """Name and tag the flow run of this run, leave the recipe as an artifact, and note the flow run in run.json."""
    if flow_run.id is None:
        return
    run.save(run.state().model_copy(update={"flow_run": str(flow_run.id)}))
    tags = [*flow_run.tags, "kasasagi", loaded.recipe.name]
    await ignore_failure(_rename(UUID(str(flow_run.id)), run.id, tags))
    text = yaml.safe_dump(loaded.recipe.plain(), allow_unicode=True, sort_keys=False)
    key = slug(f"{loaded.recipe.name}-recipe")
    await ignore_failure(acreate_markdown_artifact(code_block(text), key=key, description=f"recipe of {run.id}"))


async def _rename(flow_run_id: UUID, name: str, tags: list[str]) -> None:
    async with get_client() as client:
        await client.update_flow_run(flow_run_id, name=name, tags=sorted(set(tags)))
