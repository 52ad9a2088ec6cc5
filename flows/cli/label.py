"""The command that asks a person: label."""

from typing import Annotated

import typer

from kasasagi.flows.cli.options import RunArgument, WorkspaceOption

WANTED = 50


def register(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command()(label)


def label(
    run: RunArgument = None,
    number: Annotated[
        int, typer.Option("--number", "-n", min=0, help="Verdicts wanted on this run, earlier ones counted.")
    ] = WANTED,
    workspace: WorkspaceOption = None,
) -> None:
    """Judge a run's pairs yourself, blind and side by side, and see how often the judge agrees; goes on later."""
    from kasasagi.flows.labels.sitting import closing
    from kasasagi.flows.labels.sitting import label as sit
    from kasasagi.flows.views.drawing import console
    from kasasagi.flows.views.reading import find_run

    screen = console()
    counts = sit(find_run(workspace, run), number, screen, input)
    for sentence in closing(counts, number):
        screen.print(sentence, markup=False, soft_wrap=True)
