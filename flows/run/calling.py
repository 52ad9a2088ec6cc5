"""How a flow is called: from this process with options of its own, or by a deployment with its parameters alone."""

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, nullcontext, suppress
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

from prefect import get_run_logger
from prefect.client.schemas.objects import State
from prefect.context import SyncClientContext
from prefect.runtime import flow_run
from prefect.states import Failed
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from kasasagi.flows.errors import user_message
from kasasagi.flows.people.approval import request_approval
from kasasagi.flows.rebuild.last_publication import recipe_from_last_published
from kasasagi.flows.recipe.errors import RecipeError
from kasasagi.flows.recipe.loading import LoadedRecipe, load_recipe, only_new
from kasasagi.flows.recipe.saved_blocks import saved_workspace, with_saved_blocks
from kasasagi.flows.run.active import ActiveRun
from kasasagi.flows.run.lifecycle import active_run
from kasasagi.flows.run.options import Options, caller
from kasasagi.flows.signals import sigterm_as_interrupt

P = ParamSpec("P")
TASK_THREADS = 320  # made as they are needed: where models are asked in batches, every chunk waits at once
RUNNER: TaskRunner[Any] = ThreadPoolTaskRunner(max_workers=TASK_THREADS)


def run_name() -> str:
    """Return the name of a flow run in the UI: its recipe's, or its file's where the recipe is invalid."""
    recipe = str(flow_run.parameters.get("recipe", "quickstart"))
    with suppress(RecipeError):
        return load_recipe(recipe, flow_run.parameters.get("overrides", ())).recipe.name
    return Path(recipe).stem


def fail_with_message(work: Callable[P, Awaitable[State[str]]]) -> Callable[P, Coroutine[Any, Any, State[str]]]:
    """Let a run of a deployment that fails end with its sentence and no traceback before it.

    A bug in the program itself keeps its traceback, and a caller of the flow in this process gets the exception.
    """

    @wraps(work)
    async def ends(*args: P.args, **kwargs: P.kwargs) -> State[str]:
        try:
            return await work(*args, **kwargs)
        except Exception as error:
            if caller() or not type(error).__module__.startswith("kasasagi."):
                raise
            get_run_logger().debug("where it came from", exc_info=True)
            return Failed(message=user_message(error)[0])

    return ends


@asynccontextmanager
async def open_run(
    recipe: str | LoadedRecipe,
    overrides: Sequence[str] = (),
    rows: int = 0,
    workspace: str = "",
    *,
    new_only: bool = False,
) -> AsyncIterator[ActiveRun]:
    """Open a run of a recipe inside the current flow.

    Args:
        recipe: A recipe's file or name, or a recipe that is loaded.
        overrides: Changes to the recipe, each like judge.orders=both.
        rows: Read only that many rows of the source; 0 reads all.
        workspace: Folder of the ledger and the runs, or block:NAME of one that is saved in Prefect; empty means
            KASASAGI_WORKSPACE, else ./workspace.
        new_only: Publish only what no earlier run of the recipe published.

    Raises:
        RecipeError: The recipe is invalid, or the run could not ask its models or publish.
    """
    loaded = load_recipe(recipe, overrides) if isinstance(recipe, str) else recipe
    options = caller() or Options(await saved_workspace(workspace), log=get_run_logger().info, person=request_approval)
    loaded = only_new(loaded) if new_only or options.new_only else loaded
    loaded = recipe_from_last_published(loaded, options.workspace) if options.published else loaded
    # Prefect's own handler of SIGTERM is for a worker that cancels a run; a person's run stops as by Ctrl-C.
    stopping = sigterm_as_interrupt() if caller() else nullcontext()
    # All task runs share one client: each would otherwise make a TLS context of its own, which is slow.
    with SyncClientContext.get_or_create(), stopping:
        loaded = await with_saved_blocks(loaded)
        async with active_run(loaded, options, rows or None) as run:
            yield run
