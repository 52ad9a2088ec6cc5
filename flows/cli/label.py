"""The command that asks a person: label."""

from typing import Annotated

import typer

from kasasagi.flows.cli.options import RunArgument, WorkspaceOption, named_or_latest

WANTED = 50


def label(
    run: RunArgument = None,
    number: Annotated[
        int,
        typer.Option(
            "--number", "-n", min=0, help="Number of pairs to rate in this run, including those that you rated earlier."
        ),
    ] = WANTED,
    workspace: WorkspaceOption = None,
) -> None:
    """Rate a run's pairs yourself, blind, and compare your ratings with the judge's. Resumable."""
    from kasasagi.flows.labels.labelling import closing
    from kasasagi.flows.labels.labelling import label as sit
    from kasasagi.flows.views.drawing import console

    screen = console()
    counts = sit(named_or_latest(workspace, run), number, screen, input)
    for sentence in closing(counts, number):
        screen.print(sentence, markup=False, soft_wrap=True)
