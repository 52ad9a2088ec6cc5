"""`kasasagi check` from end to end: what can be said of a recipe, then every problem that was found."""

import asyncio
from collections.abc import Callable

from kasasagi.blocks.hints import printed_command
from kasasagi.blocks.models.pre_query import PreQueryUnknownError
from kasasagi.blocks.workspace.runs import Workspace
from kasasagi.flows.check.before_start import problems_before_start, source_problems
from kasasagi.flows.check.endpoints import check_endpoints, check_student, example_requests, price_notes, warnings
from kasasagi.flows.check.parts import part_lines, with_runs
from kasasagi.flows.check.prefect_limits import check_limits
from kasasagi.flows.check.rows import ROWS, FirstRows, first_rows
from kasasagi.flows.errors import KasasagiError
from kasasagi.flows.recipe.errors import RecipeError
from kasasagi.flows.recipe.loading import LoadedRecipe
from kasasagi.flows.recipe.saved_blocks import names_blocks, with_saved_blocks
from kasasagi.flows.reporting.translated_lines import say_line
from kasasagi.flows.views.language import say
from kasasagi.tasks.load import DatasetSource, SourceError
from kasasagi.tasks.synthesize.packs import SteeringError

Print = Callable[[str, str], None]
"""Prints a text in a style."""


class CheckFailedError(KasasagiError):
    """A recipe is valid, and something outside it that it needs does not answer or cannot be used."""


def check_recipe(loaded: LoadedRecipe, workspace: Workspace, ping: bool, show: Print) -> None:
    """Show one request for each model and how the first rows are filtered, and ask each endpoint.

    Raises:
        RecipeError: The recipe has faults, all of which it names.
        CheckFailedError: The recipe has none, and an endpoint, a limit or a cluster cannot be used.
    """
    if names_blocks(loaded):
        loaded = asyncio.run(with_saved_blocks(loaded))
    faults = problems_before_start(loaded, workspace)
    faults += _show_examples(loaded, show)
    for text in part_lines(loaded if faults else with_runs(loaded, workspace)):
        show(text, "")
    for text in warnings(loaded.recipe):
        show(f"{say('warning')}: {say_line(text)}", "yellow")
    for text in price_notes(loaded.recipe):
        show(text, "")
    if not faults:
        check_student(loaded, lambda text: show(text, ""))
    outside = _problems_outside(loaded, workspace, ping, lambda text: show(text, ""))
    if faults:
        raise RecipeError("\n".join(dict.fromkeys([*faults, *outside])))
    if outside:
        raise CheckFailedError("\n".join(outside))


def _show_examples(loaded: LoadedRecipe, show: Print) -> list[str]:
    """Show one request for each model and how the first rows are filtered; return why that cannot be done, if so.

    No request is shown where no row of the source can be asked.
    """
    if unreadable := source_problems(loaded):
        return unreadable
    try:
        rows = first_rows(loaded)
    except (RecipeError, SourceError) as error:
        return [str(error)]
    problems = [] if rows is not None and not rows.passed else _show_requests(loaded, rows, show)
    for text in rows.sentences() if rows else _unread(loaded):
        show(text, "")
    return [*problems, *(_problem_of_none(rows, show) if rows and not rows.passed else [])]


def _unread(loaded: LoadedRecipe) -> list[str]:
    """Return that the rows of a Hub dataset are not checked; nothing for Magpie."""
    source = loaded.recipe.source
    if not isinstance(source, DatasetSource):
        return []
    where = "source.path: {path} is a dataset on the Hugging Face Hub, "
    text = where + "whose rows are not checked; {preview} reads some"
    return [say(text, path=repr(source.path), preview=printed_command("preview"))]


def _show_requests(loaded: LoadedRecipe, rows: FirstRows | None, show: Print) -> list[str]:
    try:
        for title, text in example_requests(loaded, rows.example if rows else None):
            show(f"\n{title}", "bold")
            show(text, "")
    except (PreQueryUnknownError, SteeringError) as error:
        return [str(error)]
    return []


def _problem_of_none(rows: FirstRows, show: Print) -> list[str]:
    """Return the problem of a source whose rows are all filtered out; show it where only its first rows were read."""
    remedy = "loosen it, or name another source"
    if rows.read < ROWS:
        return [f"filter: no row of the source passes the filter; {remedy}"]
    text = f"filter: none of the first {rows.read} rows passes the filter; {remedy}"
    show(f"{say('warning')}: {say_line(text)}", "yellow")
    return []


def _problems_outside(loaded: LoadedRecipe, workspace: Workspace, ping: bool, log: Callable[[str], None]) -> list[str]:
    problems = check_endpoints(loaded, ping, log) + check_limits(loaded, log)
    if loaded.recipe.runtime is not None:
        from kasasagi.flows.check.cluster import check_cluster

        problems += check_cluster(loaded, workspace, log)
    return problems
