"""A run on the terminal: its state line, the funnel, the gates, some pairs and where everything lies."""

from datetime import datetime
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kasasagi.blocks.hints import printed_command, with_program_name
from kasasagi.blocks.workspace.runs import Run
from kasasagi.flows.views import drawing
from kasasagi.flows.views.drawing import Kind, plain, short
from kasasagi.flows.views.language import say, say_names
from kasasagi.flows.views.overview.gates import draw_gates
from kasasagi.flows.views.overview.samples import draw_responses
from kasasagi.flows.views.overview.sentence import result_sentence
from kasasagi.flows.views.overview.summary import DEFAULT_PAIRS, summary
from kasasagi.flows.views.safe_text import count, dollars, duration, messages_text, plural

TOP_REASONS = 3
BAR_CELLS = 12
NARROW_BAR_CELLS = 5
LABEL_WIDTH = 10
PAGE = ("http://", "https://")
_COUNTS = ("calls_paid", "calls_reused", "prompt_tokens", "completion_tokens")
_ROW_COLUMNS: list[tuple[str, Kind]] = [("in", "right"), ("out", "right"), ("quarantined", "right"), ("kept", "fixed")]
_CALL_COLUMNS: list[tuple[str, Kind]] = [
    (name, "right") for name in ("paid", "reused", "tokens in", "tokens out", "cost", "task time")
]


def print_summary(run: Run, console: Console, pairs: int = DEFAULT_PAIRS, full: bool = False) -> None:
    """Draw everything that there is to see of a run, whether it is active, was killed or has ended.

    `pairs` is how many pairs are shown, `full` shows their texts uncut. Raises KasasagiError.
    """
    shown = summary(run, pairs)
    _draw_state(shown, console)
    if shown["stages"]:
        console.print(plain(_sentence(run, shown)))
        _draw_funnel(shown, console)
        draw_gates(shown, console)
        draw_last = {"instructions": _draw_instructions, "responses": draw_responses}.get(run.product(), _draw_pairs)
        draw_last(shown, console, full)
        drawing.note_shortened(console, printed_command("show", run.id, "--full", workspace=run.workspace.folder))
    else:
        console.print(plain(say("No stage has finished a chunk of its rows yet."), "dim"))
    _draw_places(run, shown, console)


def draw_runs(rows: list[dict[str, Any]], console: Console) -> None:
    """Draw the list of runs; where the width is short, without the recipes and dates."""
    table = _run_table(rows, wide=True)
    drawing.draw(console, table if drawing.fits(console, table) else _run_table(rows, wide=False))


def _run_table(rows: list[dict[str, Any]], wide: bool) -> Table:
    more: list[tuple[str, Kind]] = [("recipe", "left"), ("started", "fixed"), ("took", "right")] if wide else []
    numbers: list[tuple[str, Kind]] = [("pairs", "right"), ("calls sent", "right"), ("cost", "right")]
    table = drawing.new_table(say_names([("run", "left"), ("status", "fixed"), *more, *numbers]))
    for row in rows:
        started = datetime.fromtimestamp(row["started"]).strftime("%Y-%m-%d %H:%M")
        leading = [short(row["recipe"]), plain(started), plain(duration(row["seconds"]))] if wide else []
        amounts = [row["pairs"], row["calls_paid"]]
        counts = (*("?" if n is None else f"{n:,}" for n in amounts), dollars(row["cost_usd"] or 0))
        table.add_row(plain(row["run"]), _status(row), *leading, *map(plain, counts))
    return table


def _status(state: dict[str, Any]) -> Text:
    status = state["status"]
    shown = "preview" if status == "done" and state["preview"] else status
    return plain(say(shown), drawing.STATUS_STYLES.get(status, ""))


def _draw_state(shown: dict[str, Any], console: Console) -> None:
    state = shown["state"]
    line = _status(state).append("  ").append_text(short(state["name"], "bold"))
    line.append("  ").append_text(plain(state["run"], "dim"))
    if shown["seconds"] is not None:
        so_far = say(" so far") if state["status"] == "running" else ""
        line.append_text(plain(f"  {duration(shown['seconds'])}{so_far}", "dim"))
    console.print(line)
    if state["error"]:
        # Not wrapped, so that the commands in it can be copied.
        console.print(plain(with_program_name(state["error"]), "red"), soft_wrap=True)
    if state["status"] == "killed":
        console.print(plain(say("Its process was killed; its paid calls are stored: run the recipe again.")))


def _sentence(run: Run, shown: dict[str, Any]) -> str:
    product, stages = run.product(), shown["stages"]
    counts = {"pairs": shown["pair_count"], "responses": shown["response_count"]}
    count = counts.get(product, stages[-1]["rows_out"])
    return result_sentence(product, count, stages, shown["gates"], run.state().all_places)


def _draw_funnel(shown: dict[str, Any], console: Console) -> None:
    """One table where it fits, else one for the rows and one for the calls."""
    drawing.heading(console, say("Funnel so far" if shown["chunks"] else "Funnel"))
    bars = (BAR_CELLS, NARROW_BAR_CELLS)
    whole = [_funnel_table(shown, cells, with_calls=True) for cells in bars]
    if any(drawing.fits(console, table) for table in whole):
        drawing.draw(console, next(table for table in whole if drawing.fits(console, table)))
        return
    rows = [_funnel_table(shown, cells, with_calls=False) for cells in bars]
    drawing.draw(console, next((table for table in rows if drawing.fits(console, table)), rows[-1]))
    console.print()
    drawing.draw(console, _call_table(shown["stages"]))


def _funnel_table(shown: dict[str, Any], bar_cells: int, with_calls: bool) -> Table:
    chunks: list[tuple[str, Kind]] = [("chunks", "right")] if shown["chunks"] else []
    calls = _CALL_COLUMNS if with_calls else []
    table = drawing.new_table(say_names([("stage", "fixed"), *chunks, *_ROW_COLUMNS, *calls]))
    skipped = [plain("")] * len(chunks)
    for stage in shown["stages"]:
        done = [plain(str(shown["chunks"].get(stage["stage"], 0)), "dim")] if chunks else []
        numbers = [plain(f"{stage['rows_in']:,}"), plain(f"{stage['rows_out']:,}")]
        aside = plain(count(stage["quarantined"]), "yellow")
        bar = _bar(stage["rows_out"], stage["rows_in"], bar_cells)
        cells = _call_cells(stage) if with_calls else []
        table.add_row(short(stage["stage"], "bold"), *done, *numbers, aside, bar, *cells)
        for reason, rows in top_reasons(stage["reasons"]):
            table.add_row(plain("  ").append_text(short(reason, "dim")), *skipped, "", "", plain(f"{rows:,}", "dim"))
    if with_calls:
        table.add_row(plain(say("all"), "bold"), *skipped, "", "", "", "", *_call_cells(_total(shown["stages"])))
    return table


def _call_table(stages: list[dict[str, Any]]) -> Table:
    """Return what the stages asked models, for a narrow terminal: tokens in and out together."""
    numbers: list[tuple[str, Kind]] = [
        (name, "right") for name in ("calls sent", "reused", "tokens", "cost", "task time")
    ]
    table = drawing.new_table(say_names([("stage", "fixed"), *numbers]))
    for stage in [*(stage for stage in stages if any(stage[name] for name in _COUNTS)), _total(stages)]:
        paid, reused, _, _, cost, took = _call_cells(stage)
        tokens = plain(count(stage["prompt_tokens"] + stage["completion_tokens"]))
        table.add_row(short(stage["stage"], "bold"), paid, reused, tokens, cost, took)
    return table


def _call_cells(stage: dict[str, Any]) -> list[Text]:
    counts = [plain(count(stage[name])) for name in _COUNTS]
    cost = dollars(stage["cost_usd"]) if any(stage[name] for name in _COUNTS) else ""
    return [*counts, plain(cost), plain(duration(stage["seconds"]), "dim")]


def _total(stages: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what all stages asked together; not their task times, since tasks run side by side."""
    sums = {name: sum(stage[name] for stage in stages) for name in (*_COUNTS, "cost_usd")}
    return {"stage": "all", "seconds": None} | sums


def top_reasons(reasons: dict[str, int]) -> list[tuple[str, int]]:
    """Return the commonest reasons with their rows, the rest of them together if they are several."""
    if len(reasons) == TOP_REASONS + 1:
        return list(reasons.items())
    top, rest = list(reasons.items())[:TOP_REASONS], list(reasons.items())[TOP_REASONS:]
    return [*top, (say(plural(len(rest), "more reason")), sum(rows for _, rows in rest))] if rest else top


def _bar(out: int, of: int, cells: int) -> Text:
    """Return the share of rows that came out, as a bar and in percent, rounded so that only all of them are 100%."""
    if not of:
        return plain("")
    share = min(out / of, 1.0)
    filled = cells if share == 1 else min(round(share * cells), cells - 1)
    percent = 100 if share == 1 else min(round(100 * share), 99)
    bar = plain("━" * filled, "green").append_text(plain("━" * (cells - filled), "bright_black"))
    return bar.append_text(plain(f" {percent}%"))


def _draw_pairs(shown: dict[str, Any], console: Console, full: bool) -> None:
    pairs = shown["pairs"]
    if not shown["pair_count"]:
        console.print()
        console.print(plain(say("No pairs yet." if shown["state"]["status"] == "running" else "No pairs."), "dim"))
    elif pairs:
        drawing.heading(console, say(f"Pairs: {len(pairs):,} of {shown['pair_count']:,}"))
        for pair in pairs:
            console.print()
            console.print(_pair(pair, console, full))


def _draw_instructions(shown: dict[str, Any], console: Console, full: bool) -> None:
    """Some instructions of a run without responses."""
    drawing.heading(console, say("Instructions" if shown["instructions"] else "No instructions yet"))
    for row in shown["instructions"]:
        console.print()
        console.print(plain(row["prompt_id"], "dim"))
        text, lines = messages_text(row["messages"]), None if full else drawing.TEXT_LINES
        console.print(drawing.block(console, text, console.width, lines))


def _pair(pair: dict[str, Any], console: Console, full: bool) -> Table:
    """Return a pair as three labelled texts: the prompt, the chosen and the rejected response."""
    width, lines = console.width - LABEL_WIDTH - 2, None if full else drawing.TEXT_LINES
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(width=LABEL_WIDTH)
    grid.add_column(overflow="fold")
    grid.add_row(plain(say("prompt"), "bold"), plain(pair["prompt_id"], "dim"))
    grid.add_row("", drawing.block(console, messages_text(pair["messages"]), width, lines))
    for side, style in (("chosen", "green"), ("rejected", "red")):
        rating = pair[f"{side}_rating"]
        who = say("not rated" if rating is None else f"rated {round(rating, 2):g}")
        grid.add_row(
            plain(say(side), f"bold {style}"), plain(f"{who}  ", style).append_text(short(pair[f"{side}_model"], style))
        )
        grid.add_row("", drawing.block(console, pair[side] or "", width, lines))
    return grid


def _draw_places(run: Run, shown: dict[str, Any], console: Console) -> None:
    """Where everything lies and how to look closer, on lines that can be copied whole."""
    state, product = run.state(), run.product()
    table = "prompts" if product == "instructions" else product
    folder = run.workspace.folder
    query = printed_command("sql", run.id, f"from {table}", workspace=folder)
    places = [("hub" if place.startswith(PAGE) else "dataset", place) for place in state.all_places]
    places += [("tables", str(run.database))] if run.database.exists() else []
    places += [("ledger", str(run.workspace.ledger_folder)), ("query", query)]
    rows = shown["pairs"] or shown["responses"]
    places += [("trace", printed_command("trace", row["prompt_id"][:8], run.id, workspace=folder)) for row in rows[:1]]
    behind = dict.fromkeys(gate["see"] for gate in shown["gates"] if gate["see"])
    places += [("gate", with_program_name(see)) for see in behind]
    places += [("report", printed_command("report", run.id, workspace=folder))] if run.database.exists() else []
    if any(stage["quarantined"] for stage in shown["stages"]) and not behind:
        places += [("quarantine", printed_command("quarantine", run.id, workspace=folder))]
    console.print()
    named = [(say(label), place) for label, place in places]
    width = max(cell_len(name) for name, _ in named) + 2
    for name, place in named:
        line = plain(name + " " * (width - cell_len(name)), "bold").append_text(plain(place))
        console.print(line, soft_wrap=True)
