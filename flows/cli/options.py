"""Options that several commands share."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from kasasagi.blocks.suggestions import close_to
from kasasagi.flows.errors import UsageError
from kasasagi.flows.reporting.translated_lines import say_line
from kasasagi.flows.views.language import Language, set_language

if TYPE_CHECKING:
    from kasasagi.blocks.workspace.runs import Run

Choice = TypeVar("Choice", bound=StrEnum)


def read_language(name: str) -> Language:
    """Return the language of a code. Raises UsageError for another word, naming the nearest code."""
    return choice("--language", name, Language)


def choice(option: str, value: str, known: type[Choice]) -> Choice:
    """Return the member of that value. Raises UsageError in one sentence that names the nearest one."""
    values = [str(one) for one in known]
    if value in values:
        return known(value)
    close = close_to(value, values) or close_to(value[:2], values)  # the code of "japanese" is its beginning
    fix = f"did you mean {close!r}?" if close else "write one of these"
    raise UsageError(f"{option}: {value!r} is none of {', '.join(values)}; {fix}")


def set_language_of_command(language: Language | None) -> Language | None:
    """Set the language that a command's --language names."""
    set_language(language)
    return language


DEFAULT_RECIPE = "recipe.yaml"
QUICKSTART = "quickstart"
RecipeArgument = Annotated[str, typer.Argument(help="Recipe file, or the name of a shipped recipe.")]
RecipeOrDefault = Annotated[
    str | None,
    typer.Argument(
        help="Recipe file, or the name of a shipped recipe; default: ./recipe.yaml if it exists, otherwise quickstart."
    ),
]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="Override a key of the recipe, e.g. judge.orders=both. Repeatable.")
]
RowsOption = Annotated[int | None, typer.Option("--rows", "-n", min=1, help="Read only this many rows of the source.")]
NewOnlyOption = Annotated[
    bool,
    typer.Option("--new-only", help="Publish only what no earlier run of the recipe published, as a new version."),
]
WorkspaceOption = Annotated[
    Path | None,
    typer.Option("--workspace", "-w", help="Workspace folder; default: $KASASAGI_WORKSPACE, otherwise ./workspace."),
]
LanguageOption = Annotated[
    Language | None,
    typer.Option(
        "--language",
        parser=read_language,
        metavar="[en|ja]",
        help="Language of headings and sentences; default: $KASASAGI_LANGUAGE, otherwise your locale's.",
        callback=set_language_of_command,
    ),
]
RunArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN]",
        help="Id of a run, its first characters, or latest (the default): the newest that has a dataset, or simply the "
        "newest where none has.",
    ),
]
ViewedRunArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN]",
        help="Id of a run, its first characters, or latest (the default): the newest that has a dataset or is still "
        "active, or simply the newest where none has.",
    ),
]
NewestRunArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN]",
        help="Id of a run, its first characters, or latest, the newest that has a dataset; default: the newest run of "
        "any kind, also one that failed.",
    ),
]
AgainOption = Annotated[
    list[str] | None,
    typer.Option(
        "--ask-again", help="Retry calls that failed permanently with this reason, e.g. context_too_long. Repeatable."
    ),
]


def retried_reasons(names: list[str] | None, workspace: Path | None) -> frozenset[str]:
    """Return the reasons of failures that a command retries. Raises UsageError for an unknown one."""
    if not names:
        return frozenset()
    from kasasagi.blocks.workspace.runs import Workspace
    from kasasagi.flows.upkeep.ledger_care import reasons_to_retry

    return reasons_to_retry(names, Workspace.resolve(workspace))


def recipe_or_default(name: str | None) -> str:
    """Return the recipe that a command takes: the one it names, ./recipe.yaml, or the quickstart; print which."""
    if name is not None:
        return name
    if Path(DEFAULT_RECIPE).is_file():
        typer.echo(say_line(f"recipe: ./{DEFAULT_RECIPE}, since none is named"), err=True)
        return DEFAULT_RECIPE
    text = f"recipe: {QUICKSTART}, since none is named and there is no ./{DEFAULT_RECIPE}"
    typer.echo(say_line(text), err=True)
    return QUICKSTART


def named_or_newest(workspace: Path | None, name: str | None, verb: str) -> "Run":
    """Return the run that a command takes; where none is named, the newest of any kind, with a note on what it is."""
    from kasasagi.blocks.hints import with_program_name
    from kasasagi.blocks.workspace.runs import Workspace
    from kasasagi.flows.views.latest import latest_run, note_on_newest

    if name:
        return named_or_latest(workspace, name, active=True)
    place = Workspace.resolve(workspace)
    found = latest_run(place, None, newest=True)
    if note := note_on_newest(place, found, verb):
        typer.echo(with_program_name(note), err=True)
    return found


def named_or_latest(workspace: Path | None, name: str | None, active: bool = False) -> "Run":
    """Return the run that a command takes; where none is named and it passes over a later one, print that.

    `active` is for commands that look at a run: a newest run that is still active comes first.
    """
    from kasasagi.blocks.hints import with_program_name
    from kasasagi.blocks.workspace.runs import LATEST, Workspace
    from kasasagi.flows.views.latest import latest_run, note_on_later

    place = Workspace.resolve(workspace)
    found = latest_run(place, name, active)
    if name in {None, "", LATEST} and (note := note_on_later(place, found)):
        typer.echo(with_program_name(note), err=True)
    return found
