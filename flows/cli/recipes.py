"""The commands about recipes: init, schema, check and plan."""

# Each command imports what it needs when it runs; its parameters are its options.

from pathlib import Path
from typing import Annotated

import typer

from kasasagi.flows.cli.options import (
    AgainOption,
    LanguageOption,
    RecipeOrDefault,
    RowsOption,
    SetOption,
    WorkspaceOption,
    recipe_or_default,
    retried_reasons,
)


def init(
    path: Annotated[Path, typer.Argument(help="Recipe file to write.", dir_okay=False)] = Path("recipe.yaml"),
    source: Annotated[
        str | None,
        typer.Option("--from", help="Copy a shipped recipe such as tanuki-ja, with the files that it reads."),
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="List every key, not only the essential ones.")] = False,
) -> None:
    """Write a commented recipe with the essential keys, or a copy of a shipped one."""
    from kasasagi.blocks.hints import printed_command
    from kasasagi.flows.errors import UsageError
    from kasasagi.flows.recipe.documents.copying import write_recipe

    if full and source is not None:
        raise UsageError("--full and --from exclude each other: a shipped recipe is copied as it is; leave one out")
    written = write_recipe(path, source, full)
    typer.echo(f"wrote {', '.join(map(str, written))}; next: {printed_command('check', path)}")


def schema(
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a reference in Markdown.")] = False,
) -> None:
    """Print the JSON schema of recipes for your editor."""
    import json

    from kasasagi.tasks.recipe import Recipe

    if markdown:
        from kasasagi.flows.recipe.documents.reference import reference

        typer.echo(reference(), nl=False)
        return

    typer.echo(json.dumps(Recipe.model_json_schema(), indent=2, ensure_ascii=False))


def check(
    recipe: RecipeOrDefault = None,
    overrides: SetOption = None,
    ping: Annotated[
        bool,
        typer.Option("--ping", help="Send a request to each model, and show which of two answers each judge prefers."),
    ] = False,
    language: LanguageOption = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Check a recipe: columns, templates, endpoints and models. Shows one request for each model."""
    from kasasagi.blocks.workspace.runs import Workspace
    from kasasagi.flows.check.check_recipe import check_recipe
    from kasasagi.flows.recipe.loading import load_recipe
    from kasasagi.flows.reporting.translated_lines import say_line
    from kasasagi.flows.views.drawing import console
    from kasasagi.flows.views.language import say

    loaded = load_recipe(recipe_or_default(recipe), overrides or ())
    screen = console()
    check_recipe(
        loaded,
        Workspace.resolve(workspace),
        ping,
        lambda text, style: screen.print(say_line(text), markup=False, style=style),
    )
    screen.print(say("the recipe is valid"), style="green")


def plan(
    recipe: RecipeOrDefault = None,
    rows: RowsOption = None,
    overrides: SetOption = None,
    ask_again: AgainOption = None,
    language: LanguageOption = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Show what a run would spend in each stage: calls, ledger hits, tokens and dollars."""
    from kasasagi.blocks.workspace.runs import Workspace
    from kasasagi.flows.check.before_start import source_problems
    from kasasagi.flows.check.parts import part_problems
    from kasasagi.flows.planning import plan_recipe
    from kasasagi.flows.recipe.errors import RecipeError
    from kasasagi.flows.recipe.loading import load_recipe
    from kasasagi.flows.reporting.translated_lines import say_line
    from kasasagi.flows.views.drawing import console
    from kasasagi.flows.views.plan import draw_plan
    from kasasagi.tasks.plans.budgets import budget_sentence

    loaded = load_recipe(recipe_or_default(recipe), overrides or ())
    if problems := [*source_problems(loaded), *part_problems(loaded, Workspace.resolve(workspace))]:
        raise RecipeError("\n".join(problems))
    if loaded.recipe.mixes:
        typer.echo(say_line("a mix of runs makes no call"))
        return
    plans = plan_recipe(loaded, Workspace.resolve(workspace), rows, retried_reasons(ask_again, workspace))
    draw_plan(plans, console())
    if (sentence := budget_sentence(loaded.recipe.budget, plans)) is not None:
        typer.echo(say_line(sentence))
