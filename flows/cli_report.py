"""The command that draws a run: report."""

from pathlib import Path
from typing import Annotated

import typer

from flows.cli_options import RunArgument, WorkspaceOption


def register(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command()(report)


def report(
    run: RunArgument = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The file; else report.html in the run's folder.", dir_okay=False),
    ] = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Draw a run on one HTML page that needs no network: funnel, charts, map, gates, and its pairs side by side."""
    from flows.views.export import whole
    from flows.views.reading import find_run
    from flows.views.report.page import report as page_of

    found = find_run(workspace, run)
    page = page_of(found)
    target = output or found.folder / "report.html"
    with whole(target) as new:
        new.write_text(page, encoding="utf-8")
    typer.echo(str(target))
