"""The runs that a recipe mixes: found by their names, and refused where their pairs may not be mixed."""

from kasasagi.blocks.workspace.runs import Workspace
from kasasagi.flows.recipe.errors import RecipeError
from kasasagi.flows.recipe.loading import LoadedRecipe
from kasasagi.tasks.mix.collect import columns_kept
from kasasagi.tasks.mix.config import MixError, RunsSource
from kasasagi.tasks.mix.parts import part_runs, resolve_parts


def part_problems(loaded: LoadedRecipe, workspace: Workspace) -> list[str]:
    """Return one sentence for each part of a mix that cannot be mixed; none for other recipes."""
    source = loaded.recipe.source
    try:
        if isinstance(source, RunsSource):
            named = resolve_parts(source, workspace, loaded.base)
            columns_kept(part_runs(named, workspace, loaded.base))
    except MixError as error:
        return str(error).split("\n")
    return []


def with_runs(loaded: LoadedRecipe, workspace: Workspace) -> LoadedRecipe:
    """Return a recipe that names the runs that it mixes by their whole ids, so that it gives the same rows again.

    Raises:
        RecipeError: A part cannot be mixed; one sentence for each.
    """
    source = loaded.recipe.source
    if not isinstance(source, RunsSource):
        return loaded
    try:
        named = resolve_parts(source, workspace, loaded.base)
    except MixError as error:
        raise RecipeError(str(error)) from error
    return loaded.model_copy(update={"recipe": loaded.recipe.model_copy(update={"source": named})})


def part_lines(loaded: LoadedRecipe) -> list[str]:
    """Return which run each part of a mix is, for a recipe that names them by their whole ids."""
    source = loaded.recipe.source
    parts = source.parts if isinstance(source, RunsSource) else {}
    return [
        f"part {name}: the run {part.run}" + (f" in {part.workspace}" if part.workspace else "")
        for name, part in parts.items()
    ]
