"""The commands that do work: run, preview, rejudge, pair, publish and approve."""

# Each command imports what it needs when it runs; its parameters are its options.

# ruff: noqa: PLR0913, PLR0917

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kasasagi.flows.cli.options import (
    AgainOption,
    LanguageOption,
    NewOnlyOption,
    RecipeArgument,
    RecipeOrDefault,
    RowsOption,
    RunArgument,
    SetOption,
    WorkspaceOption,
    named_or_latest,
    recipe_or_default,
    retried_reasons,
)

if TYPE_CHECKING:
    from kasasagi.blocks.dispatch.dispatcher import Dispatcher
    from kasasagi.blocks.workspace.runs import Run
    from kasasagi.flows.rebuild.label_audit import Audit
    from kasasagi.flows.runner import Result

PREVIEW_ROWS = 5


def run(
    recipe: RecipeOrDefault = None,
    rows: RowsOption = None,
    overrides: SetOption = None,
    ask_again: AgainOption = None,
    new_only: NewOnlyOption = False,
    language: LanguageOption = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Make a dataset from a recipe. Run it again to resume."""
    from kasasagi.flows.views.drawing import console
    from kasasagi.flows.views.overview.show import print_summary

    recipe = recipe_or_default(recipe)
    reasons = retried_reasons(ask_again, workspace)
    result = _run(recipe, overrides or (), rows, workspace, ask_again=reasons, new_only=new_only)
    print_summary(result.run, console())


def rejudge(
    recipe: RecipeArgument,
    rows: RowsOption = None,
    overrides: SetOption = None,
    ask_again: AgainOption = None,
    published: Annotated[
        bool, typer.Option("--published", help="Rate the recipe's last publication instead of its source.")
    ] = False,
    language: LanguageOption = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Rate the responses of an existing dataset, audit its labels, and pair them again."""
    from kasasagi.flows.errors import KasasagiError
    from kasasagi.flows.rebuild.label_audit import audit_of, check_rejudged
    from kasasagi.flows.views.drawing import console
    from kasasagi.flows.views.overview.show import print_summary

    if not published:
        check_rejudged(recipe, list(overrides or ()), workspace)
    begun: list[Run] = []
    how = {"ask_again": retried_reasons(ask_again, workspace), "published": published}
    try:
        result = _run(recipe, overrides or (), rows, workspace, begun.append, **how)
    except Exception:
        with suppress(KasasagiError):  # what stopped the run is what a person must hear
            for stopped in begun:
                _say_audit(stopped, audit_of(stopped), "Until the run stopped:")
        raise
    print_summary(result.run, console())
    audit = audit_of(result.run)
    _say_audit(result.run, audit)
    if not audit.labels:
        typer.echo("The source has no labels to audit: its responses are rated and paired.")


def _say_audit(run: "Run", audit: "Audit", before: str | None = None) -> None:
    """Print an audit, if there is any, with a line before it."""
    from kasasagi.blocks.hints import printed_command

    for line in [before, *audit.sentences()] if before and audit.labels else audit.sentences():
        typer.echo(line)
    for prompt_id in audit.widest:
        see = printed_command("trace", prompt_id[:8], run.id, workspace=run.workspace.folder)
        typer.echo(f"a wide disagreement: {see}")


def preview(
    recipe: RecipeOrDefault = None,
    rows: RowsOption = PREVIEW_ROWS,
    overrides: SetOption = None,
    language: LanguageOption = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Run a few rows through every stage and show them. Publishes nothing; its calls are stored for the run."""
    from kasasagi.flows.views.drawing import console
    from kasasagi.flows.views.overview.show import print_summary
    from kasasagi.flows.views.overview.unpaired import draw_unpaired

    changes = [*(overrides or ()), "gates.on_fail=warn"]
    result = _run(recipe_or_default(recipe), changes, rows, workspace, publish=False)
    screen = console()
    print_summary(result.run, screen, pairs=rows or PREVIEW_ROWS, full=True)
    if result.run.product() == "pairs":
        draw_unpaired(result.run, screen, rows or PREVIEW_ROWS)


def _run(
    recipe: str,
    overrides: Sequence[str],
    rows: int | None,
    workspace: Path | None,
    begun: "Callable[[Run], object]" = lambda run: None,
    **how: Any,
) -> "Result":
    """Run a recipe with what happens shown on the terminal; begun hears of the run, how are fields of Options."""
    from rich.console import Console

    from kasasagi.blocks.hints import with_program_name
    from kasasagi.blocks.workspace.runs import Workspace
    from kasasagi.flows.reporting.progress import Progress
    from kasasagi.flows.reporting.progress_line import shown
    from kasasagi.flows.reporting.translated_lines import lines_in_this_language
    from kasasagi.flows.run.options import Options
    from kasasagi.flows.runner import run_recipe

    console, progress, translate = Console(stderr=True, highlight=False), Progress(), lines_in_this_language()
    with shown(console, progress) as dispatchers:

        def watch(dispatcher: "Dispatcher", run: "Run") -> None:
            dispatchers.append(dispatcher)
            begun(run)

        options = Options(
            Workspace.resolve(workspace),
            log=lambda text: console.print(with_program_name(translate(text)), markup=False, soft_wrap=True),
            progress=progress,
            watch=watch,
            **how,
        )
        return run_recipe(recipe, overrides, rows=rows, options=options)


def pair(
    run: RunArgument = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="Override a key of `pairs`, e.g. pairs.min_margin=2. Repeatable.")
    ] = None,
    language: LanguageOption = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Pair a run again with another margin or strategy, without calls. Creates a new run."""
    from kasasagi.flows.rebuild.rebuild import rebuild_pairs, shortage_of_pairs
    from kasasagi.flows.reporting.translated_lines import say_line
    from kasasagi.flows.views.diff import draw_pair_changes
    from kasasagi.flows.views.drawing import console
    from kasasagi.flows.views.overview.show import print_summary

    old = named_or_latest(workspace, run)
    new = rebuild_pairs(old.workspace, old.id, overrides or ())
    screen = console()
    print_summary(new, screen)
    if (sentence := shortage_of_pairs(new)) is not None:
        screen.print(say_line(sentence), markup=False, highlight=False)
    draw_pair_changes(old, new, screen)


def publish(
    run: RunArgument = None,
    path: Annotated[
        str | None,
        typer.Option("--path", help="Output folder, or an address such as s3://bucket/folder; default: the recipe's."),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", help="Override a key of `publish`, e.g. publish.system=drop. Repeatable."),
    ] = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="Publish an unfinished run; the dataset card says so.")
    ] = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Publish a run again, elsewhere or in another format, without calls."""
    from kasasagi.blocks.workspace.runs import Workspace
    from kasasagi.flows.rebuild.rebuild import republish

    changes = [*(overrides or ()), *([f"publish.path={path}"] if path else [])]
    place = Workspace.resolve(workspace)
    found = place.run(run, newest=True) if partial else named_or_latest(workspace, run)
    published = republish(place, found.id, changes, partial)
    typer.echo(f"{published.contents(found.product())} of the run {found.id} in {' and in '.join(published.places)}")


def approve(
    run: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="Id of a run or its first characters; default: the newest.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Approve without confirmation.")] = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Show the rows that failed a gate, and approve them. A waiting deployment run continues."""
    from kasasagi.blocks.workspace.runs import Workspace
    from kasasagi.flows.people.approval_event import emit_approval_event
    from kasasagi.flows.upkeep.stopped_runs import waiting_outcomes
    from kasasagi.flows.views.approval import draw_waiting
    from kasasagi.flows.views.drawing import console
    from kasasagi.tasks.gate.approvals import write_approvals

    place = Workspace.resolve(workspace)
    found, outcomes = waiting_outcomes(place, run)
    if not outcomes:
        typer.echo(f"every gate that stopped {found.id} is already approved: run its recipe again")
        return
    draw_waiting(found, outcomes, console())
    if not yes:
        typer.confirm(f"Approve {'these' if len(outcomes) > 1 else 'this'}?", abort=True)
    write_approvals(place, found.state().name, outcomes, found.id)
    emit_approval_event(found)
    typer.echo("approved; a waiting run continues; if the run has ended, run its recipe again")
