"""`kasasagi`: the command line. Commands import what they need when they run, so that --help answers at once."""

import logging
import os
import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from kasasagi.flows.cli import argilla as cli_argilla
from kasasagi.flows.cli import batches as cli_batches
from kasasagi.flows.cli import jobs as cli_jobs
from kasasagi.flows.cli import label as cli_label
from kasasagi.flows.cli import ledger as cli_ledger
from kasasagi.flows.cli import prefect_server as cli_prefect
from kasasagi.flows.cli import probe as cli_probe
from kasasagi.flows.cli import recipes as cli_recipes
from kasasagi.flows.cli import report as cli_report
from kasasagi.flows.cli import views as cli_views
from kasasagi.flows.errors import INTERRUPTED, told

app = typer.Typer(
    name="kasasagi",
    help="Preference datasets for DPO out of language models: nothing paid for twice, nothing bad published.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
PARTS = (
    cli_jobs,
    cli_recipes,
    cli_probe,
    cli_views,
    cli_label,
    cli_report,
    cli_argilla,
    cli_ledger,
    cli_batches,
    cli_prefect,
)
for part in PARTS:
    part.register(app)


def _tell_version(wanted: bool) -> None:
    if wanted:
        from kasasagi.blocks.version import installed_version

        print(f"kasasagi {installed_version()}")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks and the log of Prefect.")] = False,
    _version: Annotated[
        bool, typer.Option("--version", help="Say which version this is.", callback=_tell_version, is_eager=True)
    ] = False,
) -> None:
    """Options of all commands."""
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
        if code == INTERRUPTED:  # typer turns Ctrl-C into this code, without a word
            print(f"kasasagi: {told(KeyboardInterrupt())[0]}", file=sys.stderr)
    except BrokenPipeError:
        code = 0
    except BaseException as error:
        if os.environ.get("KASASAGI_DEBUG"):
            raise
        sentence, code = told(error)
        from kasasagi.blocks.hints import as_called
        from kasasagi.flows.views.text import visible

        print(f"kasasagi: {visible(as_called(sentence))}", file=sys.stderr)
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
