"""The commands that look at runs: runs, show, judge, sql, trace, quarantine and diff. They change nothing."""

# Each command imports what it needs when it runs, so that --help answers at once; its parameters are its options.
# ruff: noqa: PLR0913, PLR0917

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kasasagi.flows.cli.options import RunArgument, WorkspaceOption
from kasasagi.flows.errors import UsageError
from kasasagi.flows.views.tables.formats import Format, check_output

if TYPE_CHECKING:
    from rich.console import Console

    from kasasagi.blocks.workspace.runs import Run
    from kasasagi.flows.views.tables.query import Result

ROWS_SHOWN = 50
RUNS_SHOWN = 20

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead.")]
FullOption = Annotated[bool, typer.Option("--full", help="Do not cut long texts.")]
FormatOption = Annotated[Format, typer.Option("--format", help="How rows are written.")]
OutputOption = Annotated[Path | None, typer.Option("--output", "-o", help="The file to write.", dir_okay=False)]


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    for command in (runs, show, judge, sql, trace, quarantine, diff):
        app.command()(command)


def runs(
    number: Annotated[int, typer.Option("--number", "-n", min=1, help="How many runs are listed.")] = RUNS_SHOWN,
    json: JsonOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """List the runs of a workspace, the newest first."""
    from kasasagi.blocks.hints import printed_command
    from kasasagi.blocks.workspace.runs import Workspace
    from kasasagi.flows.views.drawing import plain
    from kasasagi.flows.views.overview.show import draw_runs
    from kasasagi.flows.views.overview.summary import run_list
    from kasasagi.flows.views.tables.export import print_json
    from kasasagi.flows.views.text import plural

    place = Workspace.named(workspace)
    rows = run_list(place)
    if json:
        print_json(rows[:number])
        return
    console = _console()
    if not rows:
        make = printed_command("run", workspace=place.folder)
        console.print(plain(f"No runs yet in {place.folder}: {make} makes one."), soft_wrap=True)
        return
    draw_runs(rows[:number], console)
    if len(rows) > number:
        console.print(plain(f"{plural(len(rows) - number, 'more run')}; -n shows more", "dim"))


def show(
    run: RunArgument = None,
    number: Annotated[int, typer.Option("--number", "-n", min=0, help="How many pairs are shown.")] = 3,
    full: FullOption = False,
    json: JsonOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Show what a run came to: its funnel, its gates and some pairs; also while it goes on."""
    from kasasagi.flows.views.overview.show import print_summary
    from kasasagi.flows.views.overview.summary import summary
    from kasasagi.flows.views.tables.export import print_json

    found = _find(workspace, run)
    if json:
        print_json(summary(found, number))
    else:
        print_summary(found, _console(), number, full)


def judge(run: RunArgument = None, json: JsonOption = False, workspace: WorkspaceOption = None) -> None:
    """Report on a run's judges: ratings by model, both orders, position, length, agreement, win rates, politeness."""
    from kasasagi.flows.labels.sitting import agreement_on
    from kasasagi.flows.rebuild.rejudge import audit_of
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
    run_or_query: Annotated[str, typer.Argument(metavar="[RUN] QUERY", help='As in: sql latest "from pairs".')],
    query: Annotated[str | None, typer.Argument(hidden=True)] = None,
    everything: Annotated[bool, typer.Option("--all", help=f"Show all rows, not only {ROWS_SHOWN}.")] = False,
    full: FullOption = False,
    form: FormatOption = Format.table,
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
        raise UsageError(f"{run_or_query!r} is no query: {example}")
    run, text = (None, run_or_query) if query is None else (run_or_query, query)
    check_output(form, output)
    with queries.query(_find(workspace, run), text) as result:
        if form is Format.table:
            _draw_result(result, None if everything else ROWS_SHOWN, full)
        else:
            export(result, form, output)


def trace(
    name: Annotated[str, typer.Argument(metavar="ID", help="Any id of the run, or its first digits (at least 6).")],
    run: RunArgument = None,
    full: FullOption = False,
    json: JsonOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Walk from a prompt, response, pair, draw or call to all that belongs to it, the judge's own words included."""
    from kasasagi.flows.views import trace as traces
    from kasasagi.flows.views.tables.export import print_json

    chain = traces.trace(_find(workspace, run), name)
    if json:
        print_json(chain)
    else:
        traces.draw_trace(chain, _console(), full)


def quarantine(
    run: RunArgument = None,
    stage: Annotated[str | None, typer.Option(help="Only what this stage set aside.")] = None,
    reason: Annotated[str | None, typer.Option(help="Only what was set aside for this reason.")] = None,
    number: Annotated[int, typer.Option("--number", "-n", min=0, help="How many rows are shown.")] = 10,
    full: FullOption = False,
    form: FormatOption = Format.table,
    output: OutputOption = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Show what a run set aside, and why; --format gives all rows."""
    from kasasagi.flows.views import quarantine as view
    from kasasagi.flows.views.tables import query as queries
    from kasasagi.flows.views.tables.export import export

    check_output(form, output)
    found = _find(workspace, run)
    if form is Format.table:
        view.draw_quarantine(view.quarantined(found, stage, reason, number), _console(), full)
        return
    with queries.query(found, view.quarantine_query(found, stage, reason)) as result:
        export(result, form, output)


def diff(
    left: Annotated[str, typer.Argument(metavar="RUN", help="A run.")],
    right: Annotated[str, typer.Argument(metavar="RUN", help="Another run.")],
    json: JsonOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Tell what differs between two runs: recipes, accounts and pairs."""
    from kasasagi.flows.views.diff import difference, draw_difference
    from kasasagi.flows.views.tables.export import print_json

    shown = difference(_find(workspace, left), _find(workspace, right))
    if json:
        print_json(shown)
    else:
        draw_difference(shown, _console())


def _find(workspace: Path | None, name: str | None) -> "Run":
    from kasasagi.flows.views.reading import find_run

    return find_run(workspace, name)


def _console() -> "Console":
    from kasasagi.flows.views.drawing import console

    return console()


def _draw_result(result: "Result", most: int | None, full: bool) -> None:
    from kasasagi.flows.views.drawing import draw_rows, plain
    from kasasagi.flows.views.tables.query import COUNT_AT_MOST
    from kasasagi.flows.views.text import plural

    console = _console()
    rows = result.rows(most) if most is not None else [row for rows in result.batches() for row in rows]
    draw_rows(console, result.names, rows, full)
    more = result.rest() if most is not None and len(rows) == most else 0
    if more:
        about = "at least " if more > COUNT_AT_MOST else ""
        console.print()
        console.print(plain(f"{about}{plural(more, 'more row')}; --all shows them", "dim"))
    elif not rows:
        console.print(plain("no rows", "dim"))
