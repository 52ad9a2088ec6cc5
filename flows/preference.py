"""The main job as a Prefect flow: source, filter, respond, judge, pair, publish."""

from blocks import quiet

quiet.switch_off_telemetry()

from collections.abc import Awaitable, Callable, Coroutine  # noqa: E402
from contextlib import nullcontext, suppress  # noqa: E402
from contextvars import ContextVar  # noqa: E402
from dataclasses import replace  # noqa: E402
from functools import wraps  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any, ParamSpec  # noqa: E402

from prefect import flow, get_run_logger  # noqa: E402
from prefect.client.schemas.objects import State  # noqa: E402
from prefect.context import SyncClientContext  # noqa: E402
from prefect.runtime import flow_run  # noqa: E402
from prefect.states import Failed  # noqa: E402
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner  # noqa: E402

from blocks.workspace import Workspace  # noqa: E402
from flows.approval import asked_on_the_page  # noqa: E402
from flows.errors import told  # noqa: E402
from flows.execution import execute  # noqa: E402
from flows.options import Options  # noqa: E402
from flows.published import of_last_published  # noqa: E402
from flows.recipe import LoadedRecipe, load_recipe, only_new  # noqa: E402
from flows.recipe_errors import RecipeError  # noqa: E402
from flows.runner import sigterm_as_interrupt  # noqa: E402
from flows.saved import with_saved_blocks  # noqa: E402

OURS = ("blocks.", "tasks.", "flows.")
P = ParamSpec("P")
TASK_THREADS = 320  # made as they are needed: where models are asked in batches, every chunk waits at once
RUNNER: TaskRunner[Any] = ThreadPoolTaskRunner(max_workers=TASK_THREADS)
CALLER: ContextVar[Options | None] = ContextVar("caller", default=None)
"""How whoever calls the flow from this process wants it run and told of; a deployment's runs have none."""


def run_name() -> str:
    """The name of a flow run in the UI: its recipe's, or its file's where the recipe is at fault."""
    recipe = str(flow_run.parameters.get("recipe", "quickstart"))
    with suppress(RecipeError):
        return load_recipe(recipe, flow_run.parameters.get("overrides", ())).recipe.name
    return Path(recipe).stem


def told_in_a_sentence(work: Callable[P, Awaitable[str]]) -> Callable[P, Coroutine[Any, Any, str | State[str]]]:
    """Let a run of a deployment end with the sentence of its failure and no traceback before it.

    A fault of the program itself keeps its traceback, and whoever calls the flow from this process gets the exception.
    """

    @wraps(work)
    async def told_work(*args: P.args, **kwargs: P.kwargs) -> str | State[str]:
        try:
            return await work(*args, **kwargs)
        except Exception as error:
            if CALLER.get() or not type(error).__module__.startswith(OURS):
                raise
            get_run_logger().debug("where it came from", exc_info=True)
            return Failed(message=told(error)[0])

    return told_work


@flow(
    name="preference",
    flow_run_name=run_name,
    task_runner=RUNNER,
    persist_result=False,
)
@told_in_a_sentence
async def preference(
    recipe: str = "quickstart",
    overrides: list[str] = [],  # noqa: B006 - Prefect's form shows a plain list only for a list; nobody changes it
    rows: int = 0,
    workspace: str = "",
    new_only: bool = False,
) -> str:
    """Make a preference dataset from a recipe. Running it again redoes only what is missing.

    Args:
        recipe: A recipe's file, or the name of one that travels with kasasagi.
        overrides: Changes to the recipe, each like judge.orders=both.
        rows: Read only that many rows of the source; 0 reads all.
        workspace: Folder of the ledger and the runs; empty means KASASAGI_WORKSPACE, else ./workspace.
        new_only: Publish only what no earlier run of the recipe published, as a version of its own.
    """
    loaded = load_recipe(recipe, overrides)
    return await run_here(only_new(loaded) if new_only else loaded, rows, workspace)


async def run_here(loaded: LoadedRecipe, rows: int, workspace: str) -> str:
    """Run a recipe in the flow that calls this, as whoever called the flow wants it; gives the run's id."""
    options = CALLER.get() or Options(
        Workspace.named(workspace or None), said=get_run_logger().info, person=asked_on_the_page
    )
    loaded = only_new(loaded) if options.new_only else loaded
    loaded = of_last_published(loaded, options.workspace) if options.published else loaded
    # Prefect's own handler of SIGTERM is for a worker that cancels a run; a person's run stops as by Ctrl-C.
    stopping = sigterm_as_interrupt() if CALLER.get() else nullcontext()
    # All task runs share one client: each would otherwise make a TLS context of its own, which is slow.
    with SyncClientContext.get_or_create(), stopping:
        loaded = await with_saved_blocks(loaded)
        return (await execute(loaded, replace(options, limit=rows or None))).id
