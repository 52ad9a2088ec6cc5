"""The commands about recipes: init, schema, check and plan."""

# Each command imports what it needs when it runs; its parameters are its options.

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from flows.cli_options import AgainOption, RecipeArgument, RowsOption, SetOption, WorkspaceOption


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    for command in (init, schema, check, plan):
        app.command()(command)


def init(
    path: Annotated[Path, typer.Argument(help="The recipe to write.", dir_okay=False)] = Path("recipe.yaml"),
) -> None:
    """Write a commented recipe to start from."""
    from flows.errors import UsageError
    from flows.recipe_template import TEMPLATE

    if path.exists():
        raise UsageError(f"{path} is there already; name another file")
    path.write_text(TEMPLATE, encoding="utf-8")
    typer.echo(f"wrote {path}; next: kasasagi check {path}")


def schema(
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a reference to read instead.")] = False,
) -> None:
    """Print the JSON schema of a recipe, for an editor that completes and checks YAML."""
    import json

    from flows.recipe import Recipe

    if markdown:
        from flows.recipe_reference import reference

        typer.echo(reference(), nl=False)
        return

    typer.echo(json.dumps(Recipe.model_json_schema(), indent=2, ensure_ascii=False))


def check(
    recipe: RecipeArgument,
    overrides: SetOption = None,
    ping: Annotated[bool, typer.Option("--ping", help="Also send one request to each model.")] = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Check a recipe before anything runs: columns, templates, endpoints, models, and one request for each model."""
    from flows.check import (
        check_endpoints,
        check_student,
        destination_faults,
        example_requests,
        price_notes,
        warnings,
    )
    from flows.check_limits import check_limits
    from flows.recipe import load_recipe, missing_columns
    from flows.recipe_errors import RecipeError
    from flows.saved import names_blocks, with_saved_blocks
    from flows.views.drawing import console

    loaded = load_recipe(recipe, overrides or ())
    if faults := missing_columns(loaded):
        raise RecipeError("\n".join(faults))
    screen = console()
    for title, text in example_requests(loaded):
        screen.print(f"\n{title}", markup=False, style="bold")
        screen.print(text, markup=False)
    for text in warnings(loaded.recipe):
        screen.print(f"warning: {text}", markup=False, style="yellow")
    for text in price_notes(loaded.recipe):
        screen.print(text, markup=False)
    check_student(loaded, lambda text: screen.print(text, markup=False))
    if names_blocks(loaded):
        loaded = asyncio.run(with_saved_blocks(loaded))
    faults = check_endpoints(loaded, ping, lambda text: screen.print(text, markup=False))
    faults += check_limits(loaded, lambda text: screen.print(text, markup=False))
    faults += destination_faults(loaded.recipe)
    if loaded.recipe.runtime is not None:
        from blocks.workspace import Workspace
        from flows.check_cluster import check_cluster

        faults += check_cluster(loaded, Workspace.named(workspace), lambda text: screen.print(text, markup=False))
    if faults:
        raise RecipeError("\n".join(faults))
    screen.print("the recipe is sound", style="green")


def plan(
    recipe: RecipeArgument,
    rows: RowsOption = None,
    overrides: SetOption = None,
    ask_again: AgainOption = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Say what a run would spend, stage by stage, and stop: calls, what the ledger has, tokens and dollars."""
    from blocks.workspace import Workspace
    from flows.planning import plan_recipe
    from flows.recipe import load_recipe
    from flows.spending import budget_sentence
    from flows.views.drawing import console, draw_rows

    loaded = load_recipe(recipe, overrides or ())
    plans = plan_recipe(loaded, Workspace.named(workspace), rows, frozenset(ask_again or ()))
    names = ["stage", "calls", "in the ledger", "to pay for", "prompt tokens", "completion tokens", "dollars"]
    cells = [
        [
            one.stage,
            f"{'up to ' if one.at_most else ''}{one.calls:,}",
            f"{one.known:,}",
            f"{'up to ' if one.at_most else ''}{one.to_pay:,}",
            f"about {one.prompt_tokens:,}",
            f"about {one.completion_tokens:,}",
            f"{one.cost_usd:,.2f}",
        ]
        for one in plans
    ]
    draw_rows(console(), names, cells)
    if (sentence := budget_sentence(loaded.recipe.budget, plans)) is not None:
        typer.echo(sentence)
