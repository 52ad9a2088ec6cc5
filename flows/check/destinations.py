"""Where a run publishes: what keeps it from that, found before anything is paid for."""

import time

from kasasagi.blocks.workspace.runs import Workspace
from kasasagi.flows.recipe.loading import LoadedRecipe
from kasasagi.tasks.publish import path_problems


def destination_problems(
    loaded: LoadedRecipe, workspace: Workspace, run: str, started: float | None = None
) -> list[str]:
    """Return one sentence for each place to which a run of the recipe could not publish.

    `started` is when the run started, in seconds since 1970, for places that hold its day; None means now.
    """
    publish = loaded.recipe.publish
    day = time.time() if started is None else started
    problems = path_problems(publish.for_run(run, day), workspace, loaded.base)
    variable = publish.hub.missing_token() if publish.hub is not None else None
    if variable is not None:
        problems.append(
            f"publish.hub: the environment variable {variable} is not set: set it to a token of the Hub that may "
            "write, or leave publish.hub out"
        )
    return problems
