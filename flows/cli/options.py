"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

DEFAULT_RECIPE = "recipe.yaml"
QUICKSTART = "quickstart"
RecipeArgument = Annotated[str, typer.Argument(help="A recipe's file, or the name of one that travels with kasasagi.")]
RecipeOrDefault = Annotated[
    str | None,
    typer.Argument(
        help="A recipe's file, or the name of one that travels with kasasagi; if not given, ./recipe.yaml where there "
        "is one, else quickstart."
    ),
]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="Change the recipe: --set judge.orders=both. May stand several times.")
]
RowsOption = Annotated[int | None, typer.Option("--rows", "-n", min=1, help="Read only that many rows of the source.")]
NewOnlyOption = Annotated[
    bool,
    typer.Option("--new-only", help="Publish only what no earlier run of the recipe did, as a version of its own."),
]
WorkspaceOption = Annotated[
    Path | None,
    typer.Option("--workspace", "-w", help="The workspace's folder: $KASASAGI_WORKSPACE, else ./workspace."),
]
RunArgument = Annotated[
    str | None, typer.Argument(metavar="[RUN]", help="A run's id, the beginning of one, or latest, the default.")
]
AgainOption = Annotated[
    list[str] | None,
    typer.Option("--ask-again", help="Ask again what failed for good with that reason, as context_too_long."),
]


def recipe_or_default(name: str | None) -> str:
    """Return the recipe that a command takes: the one it names, ./recipe.yaml, or the quickstart; print which."""
    if name is not None:
        return name
    if Path(DEFAULT_RECIPE).is_file():
        typer.echo(f"recipe: ./{DEFAULT_RECIPE}, since none is named", err=True)
        return DEFAULT_RECIPE
    typer.echo(f"recipe: {QUICKSTART}, since none is named and there is no ./{DEFAULT_RECIPE}", err=True)
    return QUICKSTART
