"""`kasasagi`: the command line. Commands import what they need when they run, so that --help answers at once."""

import logging
import os
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, NoReturn

import typer
from rich.markup import escape

from kasasagi.flows.cli import argilla, batches, jobs, label, ledger, prefect_server, probe, recipes, report, views
from kasasagi.flows.errors import INTERRUPTED, user_message
from kasasagi.flows.views.language import preferred_language, set_language

app = typer.Typer(
    name="kasasagi",
    help="Make DPO preference datasets with language models.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
RUN, INSPECT, GROUPS = "Run", "Inspect a run", "Groups of commands"
COMMANDS: dict[str, tuple[Callable[..., None], ...]] = {
    RUN: (jobs.run, recipes.init, recipes.check, recipes.plan, jobs.preview, probe.probe, recipes.schema),
    INSPECT: (
        views.runs,
        views.show,
        report.report,
        views.quarantine,
        views.trace,
        views.sql,
        views.diff,
        views.judge,
    ),
}
dataset = typer.Typer(help="Make another dataset out of a run: pair, publish or rate it again.", no_args_is_help=True)
people = typer.Typer(help="Let people decide: approve gates, rate pairs here or in Argilla.", no_args_is_help=True)
MEMBERS: dict[str, tuple[typer.Typer, tuple[Callable[..., None], ...]]] = {
    "dataset": (dataset, (jobs.pair, jobs.publish, jobs.rejudge)),
    "people": (people, (jobs.approve, label.label)),
    "ledger": (ledger.ledger_app, (batches.batches,)),
    "serve": (prefect_server.serve_app, (prefect_server.ui,)),
}
EXAMPLES = {
    "run": "kasasagi run recipe.yaml -n 100 --set judge.orders=random",
    "init": "kasasagi init --from magpie-dpo mine.yaml",
    "check": "kasasagi check recipe.yaml --ping",
    "plan": "kasasagi plan recipe.yaml",
    "preview": "kasasagi preview recipe.yaml -n 3",
    "probe": "kasasagi probe tanuki-ja",
    "schema": "kasasagi schema --markdown > recipe.md",
    "show": "kasasagi show",
    "report": "kasasagi report -o run.html",
    "quarantine": "kasasagi quarantine --stage judge",
    "trace": "kasasagi trace 3f9a1c",
    "sql": 'kasasagi sql "select model, count(*) from responses group by model"',
    "pair": "kasasagi dataset pair --set pairs.min_margin=2",
    "publish": 'kasasagi dataset publish --path out/again --set "publish.formats=[kto]"',
    "serve": "kasasagi serve --recipe recipe.yaml",
    "rejudge": "kasasagi dataset rejudge recipe.yaml --published",
    "runs": "kasasagi runs -n 5",
    "judge": "kasasagi judge latest",
    "diff": "kasasagi diff 20261129-081500 latest",
    "dataset": "kasasagi dataset pair --set pairs.min_margin=2",
    "people": "kasasagi people label -n 20",
    "approve": "kasasagi people approve --yes",
    "label": "kasasagi people label -n 20",
    "argilla": "kasasagi people argilla push -n 100",
    "argilla push": "kasasagi people argilla push -n 100",
    "argilla pull": "kasasagi people argilla pull",
    "ledger": "kasasagi ledger --json",
    "ledger prune": "kasasagi ledger prune --older-than 90d --dry-run",
    "ledger compact": "kasasagi ledger compact",
    "ledger check": "kasasagi ledger check --repair",
    "ledger import": "kasasagi ledger import ../other/.kasasagi",
    "batches": "kasasagi ledger batches",
    "ui": "kasasagi serve ui --port 4300",
}


def _epilog(name: str) -> str | None:
    return f"Example: {escape(EXAMPLES[name])}" if name in EXAMPLES else None


def _add(group: typer.Typer, command: Callable[..., None], panel: str | None = None, hidden: bool = False) -> None:
    group.command(rich_help_panel=panel, hidden=hidden, epilog=_epilog(command.__name__))(command)


for panel, commands in COMMANDS.items():
    for command in commands:
        _add(app, command, panel)
for name, (group, commands) in MEMBERS.items():
    app.add_typer(group, name=name, rich_help_panel=GROUPS, epilog=_epilog(name))
    for command in commands:
        _add(group, command)
        _add(app, command, hidden=True)  # its name before there were groups
for group in (people, app):
    group.add_typer(argilla.argilla, name="argilla", hidden=group is app, epilog=_epilog("argilla"))
for name, group in {"argilla": argilla.argilla, "ledger": ledger.ledger_app}.items():
    for entry in group.registered_commands:
        entry.epilog = entry.epilog or _epilog(f"{name} {entry.name or (entry.callback and entry.callback.__name__)}")


def _show_version(wanted: bool) -> None:
    if wanted:
        from kasasagi.blocks.version import installed_version

        print(f"kasasagi {installed_version()}")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks and the log of Prefect.")] = False,
    _version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Options of all commands."""
    set_language(preferred_language())
    if debug:
        os.environ["KASASAGI_DEBUG"] = "1"


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and leave with its exit code."""
    logging.raiseExceptions = bool(os.environ.get("KASASAGI_DEBUG"))  # a log line that is lost is not a page of errors
    try:
        app(args=list(arguments) if arguments is not None else None, standalone_mode=True)
        code = 0
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else int(bool(leaving.code))
        if code == INTERRUPTED:  # typer turns Ctrl-C into this code and prints nothing
            print(f"kasasagi: {user_message(KeyboardInterrupt())[0]}", file=sys.stderr)
    except BrokenPipeError:
        code = 0
    except BaseException as error:
        if os.environ.get("KASASAGI_DEBUG"):
            raise
        sentence, code = user_message(error)
        from kasasagi.blocks.hints import with_program_name
        from kasasagi.flows.views.safe_text import visible

        print(f"kasasagi: {visible(with_program_name(sentence))}", file=sys.stderr)
    _leave(code)


def _leave(code: int) -> NoReturn:
    """End at once: DuckDB's and Prefect's clean-up at the interpreter's end prints pages that say nothing."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            code = code or 1
    os._exit(code)


if __name__ == "__main__":
    main()
