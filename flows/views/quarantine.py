"""What a run quarantined: how much for which reason, and the rows themselves."""

from typing import Any

from duckdb import DuckDBPyConnection
from rich.console import Console

from kasasagi.blocks.workspace.runs import Run
from kasasagi.flows.errors import UsageError
from kasasagi.flows.views import drawing
from kasasagi.flows.views.drawing import plain
from kasasagi.flows.views.language import say, say_names
from kasasagi.flows.views.safe_text import nearest, one_line, plural
from kasasagi.flows.views.table_reader import fetch, reading
from kasasagi.tasks.gate.explain.losses import CONSEQUENCES

DEFAULT_ROWS = 10
_PLACED = """
WITH placed AS (SELECT stage AS name, row_number() OVER () AS place FROM stages) SELECT {0}
FROM quarantine LEFT JOIN placed ON name = stage WHERE {1}
"""
_ORDER = f"coalesce(place, 1000), stage, reason IN {CONSEQUENCES}"
_COUNTS = f"{_PLACED} GROUP BY stage, reason, place ORDER BY {_ORDER}, rows DESC, reason"
_ROWS = f"{_PLACED} ORDER BY {_ORDER}, reason, row_id"


def read_quarantine(
    run: Run, stage: str | None = None, reason: str | None = None, rows: int | None = DEFAULT_ROWS
) -> dict[str, Any]:
    """Return what a run quarantined: `counts` (stage, reason, rows) and the first `rows` of the rows (None: all).

    Raises:
        UsageError: For a stage that the run had not, or an unused reason, naming the nearest one.
    """
    where, values = _condition(stage, reason)
    with reading(run) as connection:
        _check_known(connection, run, "stage", stage)
        _check_known(connection, run, "reason", reason)
        limit = "" if rows is None else f" LIMIT {int(rows)}"
        counts = _COUNTS.format("stage, reason, count(*) AS rows", where)
        every = _ROWS.format("quarantine.*", where) + limit
        return {"counts": fetch(connection, counts, values), "rows": fetch(connection, every, values)}


def quarantine_query(run: Run, stage: str | None = None, reason: str | None = None) -> str:
    """Return the query that gives all those rows, to be exported.

    Raises:
        UsageError: As `read_quarantine` does.
    """
    read_quarantine(run, stage, reason, rows=0)
    where, values = _condition(stage, reason)
    for value in values:
        where = where.replace("?", "'" + value.replace("'", "''") + "'", 1)
    return _ROWS.format("quarantine.*", where)


def draw_quarantine(shown: dict[str, Any], console: Console, full: bool = False) -> None:
    """Draw the counts in the order of the stages, causes before their consequences, and then the rows."""
    total = sum(row["rows"] for row in shown["counts"])
    if not total:
        console.print(plain(say("No row was quarantined.")))
        return
    table = drawing.new_table(say_names([("stage", "fixed"), ("reason", "left"), ("rows", "right")]))
    for row in shown["counts"]:
        table.add_row(drawing.short(row["stage"]), drawing.short(row["reason"]), f"{row['rows']:,}")
    drawing.draw(console, table)
    for reason in CONSEQUENCES:
        if any(row["reason"] == reason for row in shown["counts"]):
            text = say("{reason}: because of rows that an earlier stage quarantined", reason=reason)
            console.print(plain(text, "dim"), soft_wrap=True)
    for row in shown["rows"]:
        console.print()
        title = drawing.short(f"{row['stage']}: {row['reason']}", "yellow")
        console.print(title.append(" ").append_text(drawing.short(row["row_id"] or "", "cyan")))
        fields = [(say(name), row[name]) for name in ("detail", "payload") if row[name]]
        console.print(drawing.draw_fields(console, fields, None if full else drawing.TEXT_LINES, indent=2))
    if total > len(shown["rows"]):
        console.print()
        console.print(plain(say(f"{plural(total - len(shown['rows']), 'more row')}; -n shows more"), "dim"))


def _condition(stage: str | None, reason: str | None) -> tuple[str, list[str]]:
    wanted = {"stage": stage, "reason": reason}
    used = {name: value for name, value in wanted.items() if value is not None}
    return " AND ".join(f"{name} = ?" for name in used) or "true", list(used.values())


def _check_known(connection: DuckDBPyConnection, run: Run, column: str, value: str | None) -> None:
    if value is None:
        return
    known = [row["name"] for row in fetch(connection, f"SELECT DISTINCT {column} AS name FROM quarantine ORDER BY ALL")]
    ran = [row["stage"] for row in fetch(connection, "SELECT stage FROM stages")] if column == "stage" else []
    if value not in [*known, *ran]:
        those = ", ".join(known) or "none"
        name = one_line(value, 60)
        raise UsageError(
            f"run {run.id} has no quarantined rows with the {column} {name!r}{nearest(value, known)} (it has: {those})"
        )
