"""The commands that let people rate a run's pairs: argilla push and argilla pull."""

from typing import Annotated

import typer

from kasasagi.flows.cli.options import RunArgument, WorkspaceOption

DatasetOption = Annotated[
    str | None, typer.Option("--dataset", help="The dataset in Argilla; else it has the recipe's name.")
]
TeamOption = Annotated[
    str | None, typer.Option("--team", help="The workspace in Argilla; else the first that you may use.")
]
argilla = typer.Typer(
    help="Let people rate the pairs of a run in Argilla, and heed what they say.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.add_typer(argilla, name="argilla")


@argilla.command()
def push(
    run: RunArgument = None,
    dataset: DatasetOption = None,
    team: TeamOption = None,
    rows: Annotated[
        int | None, typer.Option("--rows", "-n", min=1, help="Send only that many pairs, a fair sample.")
    ] = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Send the pairs of a run to Argilla, with the judge's ratings and words as suggestions; may be done again."""
    from kasasagi.flows.people.verdicts import push as pushed
    from kasasagi.flows.views.reading import find_run

    address, count = pushed(find_run(workspace, run), dataset, team, rows)
    typer.echo(f"{count:,} pairs in {address}")


@argilla.command()
def pull(
    run: RunArgument = None,
    dataset: DatasetOption = None,
    team: TeamOption = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Make the pairs of a run again, people's verdicts outranking the judge's, without a call; gives a new run."""
    from kasasagi.blocks.workspace.runs import Workspace
    from kasasagi.flows.people.verdicts import pull as pulled
    from kasasagi.flows.views.drawing import console
    from kasasagi.flows.views.overview.show import print_summary

    new, heeded, others = pulled(Workspace.named(workspace), run, dataset, team)
    print_summary(new, console())
    besides = f"; {others:,} are about responses of other runs" if others else ""
    typer.echo(f"{heeded:,} verdicts of people heeded{besides}")
