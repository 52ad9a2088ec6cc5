"""The commands that let people rate a run's pairs: argilla push and argilla pull."""

from typing import Annotated

import typer

from kasasagi.flows.cli.options import RunArgument, WorkspaceOption, named_or_latest

DatasetOption = Annotated[str | None, typer.Option("--dataset", help="Dataset in Argilla; default: the recipe's name.")]
TeamOption = Annotated[
    str | None, typer.Option("--team", help="Workspace in Argilla; default: the first that you may use.")
]
argilla = typer.Typer(
    help="Have people rate a run's pairs in Argilla, and apply their ratings.",
    no_args_is_help=True,
)


@argilla.command()
def push(
    run: RunArgument = None,
    dataset: DatasetOption = None,
    team: TeamOption = None,
    rows: Annotated[
        int | None, typer.Option("--rows", "-n", min=1, help="Send only a random sample of this many pairs.")
    ] = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Send a run's pairs to Argilla, with the judge's ratings and rationales as suggestions. Repeatable."""
    from kasasagi.flows.people.verdicts import push as pushed

    address, count = pushed(named_or_latest(workspace, run), dataset, team, rows)
    typer.echo(f"{count:,} pairs in {address}")


@argilla.command()
def pull(
    run: RunArgument = None,
    dataset: DatasetOption = None,
    team: TeamOption = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Pair a run again with human ratings in place of the judge's, without calls. Creates a new run."""
    from kasasagi.blocks.workspace.runs import Workspace
    from kasasagi.flows.people.verdicts import pull as pulled
    from kasasagi.flows.views.drawing import console
    from kasasagi.flows.views.overview.show import print_summary

    new, applied, others = pulled(Workspace.resolve(workspace), named_or_latest(workspace, run).id, dataset, team)
    print_summary(new, console())
    besides = f"; {others:,} are about responses of other runs" if others else ""
    typer.echo(f"{applied:,} ratings of people applied{besides}")
