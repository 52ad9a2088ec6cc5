"""The gates of a run on the terminal: what was judged, how it came out, and what was not judged."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from kasasagi.flows.views import drawing
from kasasagi.flows.views.drawing import Kind, plain, short
from kasasagi.flows.views.language import say, say_names
from kasasagi.flows.views.safe_text import one_line, plural
from kasasagi.tasks.gate.explain.words import SCOPES, judged_no_rows, plain_name
from kasasagi.tasks.pipeline import STAGES

ENDED_EARLY = ("stopped", "failed", "killed")
_GATE_COLUMNS = (
    ["stage", "expectation", "observed", "limit", "scope", "severity"],
    ["stage", "expectation", "observed", "limit"],
    ["stage", "expectation", "observed"],
)
"""The columns of the gates, for a wide, a narrower and a narrow terminal."""


def draw_gates(shown: Mapping[str, Any], console: Console) -> None:
    """Draw the gates of a summary, and name the stages that no gate judged as a whole."""
    if shown["gates"]:
        _draw_outcomes(shown["gates"], console)
    if unjudged := _unjudged(shown):
        console.print()
        text = say("The run ended early, so no gate judged all rows of: {stages}", stages=", ".join(unjudged))
        console.print(plain(text, "yellow"), soft_wrap=True)


def outcome_of(gate: Mapping[str, Any]) -> str:
    """Return how an outcome is shown: `passed`, `failed`, or `no rows` where there was nothing to judge."""
    if judged_no_rows(gate["success"], gate.get("observed")):
        return "no rows"
    return "passed" if gate["success"] else "failed"


def count_outcomes(gates: Sequence[Mapping[str, Any]], noun: str = "") -> str:
    """Return how many gates failed or passed, and how many had no rows, e.g. `all 27 passed`."""
    outcomes = [outcome_of(gate) for gate in gates]
    failed, empty = outcomes.count("failed"), outcomes.count("no rows")
    all_of_them = plural(len(gates), noun) if noun else f"{len(gates):,}"
    without = f", {empty:,} had no rows" if empty else ""
    if failed:
        return f"{failed:,} of {all_of_them} failed{without}"
    passed = len(gates) - empty
    return f"{passed:,} of {all_of_them} passed{without}" if empty else f"all {all_of_them} passed"


def _unjudged(shown: Mapping[str, Any]) -> list[str]:
    """Return the stages that have rows and a gate, and were not judged as a whole since the run ended before."""
    if shown["state"]["status"] not in ENDED_EARLY:
        return []
    gated = {stage.name for stage in STAGES if stage.gate is not None and stage.gate.expect}
    judged = {gate["stage"] for gate in shown["gates"] if gate["scope"] == "whole"}
    return [stage["stage"] for stage in shown["stages"] if stage["rows_in"] and stage["stage"] in gated - judged]


def _draw_outcomes(gates: list[dict[str, Any]], console: Console) -> None:
    gates = [{**gate, "expectation": say(plain_name(gate["expectation"] or "", gate["stage"]))} for gate in gates]
    failed = [gate for gate in gates if not gate["success"]]
    telling, repeated = split_gates(gates)
    hidden = len(repeated)
    apart = say(f"; {hidden} that also passed on the first chunk are not listed") if hidden else ""
    drawing.heading(console, say(f"Gates: {count_outcomes(gates)}") + apart)
    tables = [_gate_table(telling, names) for names in _GATE_COLUMNS]
    drawing.draw(console, next((table for table in tables if drawing.fits(console, table)), tables[-1]))
    for gate in failed:
        why = _why_failed(gate)
        console.print(drawing.block(console, why, console.width, style=_gate_style(gate)))
        if gate["reason"]:
            console.print(drawing.block(console, f"  {gate['reason']}", console.width, style="dim"))


def _why_failed(gate: Mapping[str, Any]) -> str:
    """Return a failed gate in one line: its stage, expectation, observed value and limit."""
    limit = say(gate["detail"] or "no detail")
    found = f"{say(gate['observed'])} ({limit})" if gate["observed"] else limit
    return f"{gate['stage']}: {one_line(gate['expectation'], drawing.TABLE_TEXT)}: {found}"


def split_gates(gates: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the gates to list, and those that passed on the first chunk and were evaluated on all rows, too."""
    judged = {(gate["stage"], gate["expectation"]) for gate in gates if gate["scope"] == "whole"}
    repeated = [
        gate
        for gate in gates
        if gate["success"] and gate["scope"] == "scout" and (gate["stage"], gate["expectation"]) in judged
    ]
    return [gate for gate in gates if gate not in repeated], repeated


def _gate_table(gates: list[dict[str, Any]], names: list[str]) -> Table:
    kinds: dict[str, Kind] = {"stage": "fixed", "observed": "right"}
    table = drawing.new_table(say_names([*((name, kinds.get(name, "left")) for name in names), ("outcome", "fixed")]))
    for gate in (
        {**gate, "scope": SCOPES.get(gate["scope"], gate["scope"]), "limit": gate["detail"]} for gate in gates
    ):
        style = _gate_style(gate)
        name = outcome_of(gate)
        outcome = plain(say(name), {"passed": "green", "failed": f"bold {style}"}.get(name, "dim"))
        cells = [
            short(
                say(gate[name] or "") if name in {"scope", "severity", "observed", "limit"} else gate[name] or "", style
            )
            for name in names
        ]
        table.add_row(*cells, outcome)
    return table


def _gate_style(gate: dict[str, Any]) -> str:
    return "" if gate["success"] else "red" if gate["severity"] == "critical" else "yellow"
