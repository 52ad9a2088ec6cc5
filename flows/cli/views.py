"""The commands that look at runs: runs, show, judge, sql, trace, quarantine and diff. They change nothing."""

# Each command imports what it needs when it runs, so that --help answers at once; its parameters are its options.
# ruff: noqa: PLR0913, PLR0917

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kasasagi.flows.cli.options import (
    LanguageOption,
    NewestRunArgument,
    ViewedRunArgument,
    WorkspaceOption,
    choice,
    named_or_latest,
    named_or_newest,
)
from kasasagi.flows.errors import UsageError
from kasasagi.flows.views.language import say
from kasasagi.flows.views.tables.formats import RowFormat, check_output

if TYPE_CHECKING:
    from rich.console import Console

    from kasasagi.blocks.workspace.runs import Run
    from kasasagi.flows.views.tables.query import QueryResult

ROWS_SHOWN = 50
RUNS_SHOWN = 20


def read_format(name: str) -> RowFormat:
    """Return the format of a name. Raises UsageError for another word, naming the nearest one."""
    return choice("--format", name, RowFormat)


JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
FullOption = Annotated[bool, typer.Option("--full", help="Do not shorten long texts.")]
FormatOption = Annotated[
    RowFormat,
    typer.Option("--format", parser=read_format, metavar="[table|jsonl|csv|parquet]", help="Format of the rows."),
]
OutputOption = Annotated[Path | None, typer.Option("--output", "-o", help="Output file.", dir_okay=False)]


def runs(
    number: Annotated[int, typer.Option("--number", "-n", min=1, help="Number of runs to list.")] = RUNS_SHOWN,
    json: JsonOption = False,
    language: LanguageOption = None,
    workspace: WorkspaceOption = None,
) -> None:
    """List the runs of a workspace, newest first."""
    from kasasagi.blocks.hints import printed_command
    from kasasagi.blocks.workspace.runs import Workspace
    from kasasagi.flows.views.drawing import plain
    from kasasagi.flows.views.overview.show import draw_runs
    from kasasagi.flows.views.overview.summary import run_list
    from kasasagi.flows.views.safe_text import plural
    from kasasagi.flows.views.tables.export import print_json

    place = Workspace.resolve(workspace)
    rows = run_list(place)
    if json:
        print_json(rows[:number])
        return
    console = _console()
    if not rows:
        make = printed_command("run", workspace=place.folder)
        text = say("No runs yet in {folder}: {command} makes one.", folder=place.folder, command=make)
        console.print(plain(text), soft_wrap=True)
        return
    draw_runs(rows[:number], console)
    if len(rows) > number:
        console.print(plain(say(f"{plural(len(rows) - number, 'more run')}; -n shows more"), "dim"))
    _find(workspace, None)


def show(
    run: ViewedRunArgument = None,
    number: Annotated[int, typer.Option("--number", "-n", min=0, help="Number of pairs to show.")] = 3,
    full: FullOption = False,
    json: JsonOption = False,
    language: LanguageOption = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Show a run's funnel, gates and some pairs, also while it runs."""
    from kasasagi.flows.views.overview.show import print_summary
    from kasasagi.flows.views.overview.summary import summary
    from kasasagi.flows.views.tables.export import print_json

    found = _find(workspace, run)
    if json:
        print_json(summary(found, number))
    else:
        print_summary(found, _console(), number, full)


def judge(run: ViewedRunArgument = None, json: JsonOption = False, workspace: WorkspaceOption = None) -> None:
    """Show how a run's judges rated: histograms, consistency, length bias, agreement, win rates."""
    from kasasagi.flows.labels.labelling import agreement_on
    from kasasagi.flows.rebuild.label_audit import audit_of
    from kasasagi.flows.views.judge import draw_audit, draw_person, draw_report, judge_report
    from kasasagi.flows.views.tables.export import print_json

    found = _find(workspace, run)
    report, counts, audit = judge_report(found), agreement_on(found), audit_of(found)
    if json:
        print_json(report | {"person": asdict(counts), "audit": audit.model_dump()})
    else:
        draw_report(report, _console())
        draw_audit(audit, _console())
        draw_person(counts, _console())


def sql(
    run_or_query: Annotated[
        str, typer.Argument(metavar="[RUN] QUERY", help="A run (default: latest) and a SQL query.")
    ],
    query: Annotated[str | None, typer.Argument(hidden=True)] = None,
    everything: Annotated[bool, typer.Option("--all", help=f"Show all rows, not only {ROWS_SHOWN}.")] = False,
    full: FullOption = False,
    form: FormatOption = RowFormat.table,
    output: OutputOption = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Query a run's tables: draws, prompts, responses, ratings, pairs, calls, quarantine, gates, stages.

    One reading statement of DuckDB's SQL; nothing but the run's tables can be read, and nothing written. pairs shows
    the texts of prompt, chosen and rejected in front of its own columns.
    """
    from kasasagi.flows.views.tables import query as queries
    from kasasagi.flows.views.tables.export import export

    if query is None and not queries.looks_like_query(run_or_query):
        from kasasagi.blocks.hints import command

        example = command("sql", run_or_query, "select * from pairs", workspace=workspace)
        raise UsageError(f"{run_or_query!r} is not a query: {example}")
    run, text = (None, run_or_query) if query is None else (run_or_query, query)
    check_output(form, output)
    with queries.query(_find(workspace, run), text) as result:
        if form is RowFormat.table:
            _draw_result(result, None if everything else ROWS_SHOWN, full)
        else:
            export(result, form, output)


def trace(
    name: Annotated[str, typer.Argument(metavar="ID", help="Any id in the run, or at least its first 6 digits.")],
    run: ViewedRunArgument = None,
    full: FullOption = False,
    json: JsonOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Follow a prompt, response, pair, draw or call to everything related, including the judge's replies."""
    from kasasagi.flows.views import trace as traces
    from kasasagi.flows.views.tables.export import print_json

    chain = traces.trace(_find(workspace, run), name)
    if json:
        print_json(chain)
    else:
        console = _console()
        traces.draw_trace(chain, console, full)
        _note_shortened(console, "--full")


def quarantine(
    run: NewestRunArgument = None,
    stage: Annotated[str | None, typer.Option(help="Show only rows of this stage.")] = None,
    reason: Annotated[str | None, typer.Option(help="Show only rows with this reason.")] = None,
    number: Annotated[int, typer.Option("--number", "-n", min=0, help="Number of rows to show.")] = 10,
    full: FullOption = False,
    form: FormatOption = RowFormat.table,
    output: OutputOption = None,
    language: LanguageOption = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Show a run's quarantined rows with their reasons; --format prints all rows."""
    from kasasagi.flows.views import quarantine as view
    from kasasagi.flows.views.tables import query as queries
    from kasasagi.flows.views.tables.export import export

    check_output(form, output)
    found = named_or_newest(workspace, run, "quarantine")
    if form is RowFormat.table:
        console = _console()
        view.draw_quarantine(view.read_quarantine(found, stage, reason, number), console, full)
        _note_shortened(console, "--full")
        return
    with queries.query(found, view.quarantine_query(found, stage, reason)) as result:
        export(result, form, output)


def diff(
    left: Annotated[str, typer.Argument(metavar="RUN", help="A run.")],
    right: Annotated[str, typer.Argument(metavar="RUN", help="Another run.")],
    json: JsonOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Compare recipes, row counts and pairs of two runs."""
    from kasasagi.flows.views.diff import difference, draw_difference
    from kasasagi.flows.views.tables.export import print_json

    shown = difference(_find(workspace, left), _find(workspace, right))
    if json:
        print_json(shown)
    else:
        console = _console()
        draw_difference(shown, console)
        _note_shortened(console, "--json")


def _find(workspace: Path | None, name: str | None) -> "Run":
    return named_or_latest(workspace, name, active=True)


def _console() -> "Console":
    from kasasagi.flows.views.drawing import console

    return console()


def _note_shortened(console: "Console", option: str) -> None:
    """Print which option shows the texts whole that were cut, if any were."""
    from kasasagi.flows.views import drawing

    drawing.note_shortened(console, option)


def _draw_result(result: "QueryResult", most: int | None, full: bool) -> None:
    from kasasagi.flows.views.drawing import draw_rows, plain
    from kasasagi.flows.views.safe_text import plural
    from kasasagi.flows.views.tables.query import COUNT_AT_MOST

    console = _console()
    rows = result.rows(most) if most is not None else [row for rows in result.batches() for row in rows]
    draw_rows(console, result.names, rows, full)
    more = result.rest() if most is not None and len(rows) == most else 0
    if more:
        about = "at least " if more > COUNT_AT_MOST else ""
        console.print()
        console.print(plain(say(f"{about}{plural(more, 'more row')}; --all shows them"), "dim"))
    elif not rows:
        console.print(plain(say("no rows"), "dim"))
    _note_shortened(console, "--full")
