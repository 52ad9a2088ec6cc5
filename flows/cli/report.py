"""The command that draws a run: report."""

from pathlib import Path
from typing import Annotated

import typer

from kasasagi.flows.cli.options import LanguageOption, RunArgument, WorkspaceOption, named_or_latest


def report(
    run: RunArgument = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Output file; default: report.html in the run's folder.", dir_okay=False),
    ] = None,
    data_docs: Annotated[
        Path | None,
        typer.Option("--data-docs", help="Write Great Expectations' Data Docs to this folder, too.", file_okay=False),
    ] = None,
    language: LanguageOption = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Write a run as one self-contained HTML page: pairs, funnel, charts, gates."""
    from kasasagi.flows.views.report.page import report as page_of
    from kasasagi.flows.views.tables.export import whole

    found = named_or_latest(workspace, run)
    page = page_of(found)
    target = output or found.folder / "report.html"
    with whole(target) as new:
        new.write_text(page, encoding="utf-8")
    typer.echo(str(target))
    if data_docs is not None:
        from kasasagi.flows.views.data_docs import write_data_docs

        typer.echo(str(write_data_docs(found, data_docs)))
