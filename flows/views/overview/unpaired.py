"""Prompts without a pair on the terminal: what was asked, answered and rated, and why there is no pair."""

from collections.abc import Iterator
from typing import Any

from duckdb import DuckDBPyConnection
from rich.console import Console
from rich.table import Table

from kasasagi.blocks.workspace.runs import Run
from kasasagi.flows.views import drawing
from kasasagi.flows.views.drawing import plain
from kasasagi.flows.views.language import say
from kasasagi.flows.views.safe_text import messages_text
from kasasagi.flows.views.table_reader import fetch, reading

LABEL_WIDTH = 10
_PROMPTS = """
SELECT prompt_id, messages FROM prompts WHERE prompt_id NOT IN (SELECT prompt_id FROM pairs) ORDER BY prompt_id LIMIT ?
"""
_RESPONSES = """
SELECT model, content, (SELECT list(rating ORDER BY judge, aspect, ordering) FROM ratings
    WHERE ratings.response_id = responses.response_id) AS ratings
FROM responses WHERE prompt_id = $id ORDER BY model, sample_index
"""
_WHY = """
SELECT stage, reason, detail, coalesce(TRY(payload->>'content'), TRY(payload->>'reply')) AS text FROM quarantine
LEFT JOIN (SELECT stage AS name, row_number() OVER () AS place FROM stages) ON name = stage
WHERE $id IN (row_id, TRY(payload->>'prompt_id'))
    OR row_id IN (SELECT response_id FROM responses WHERE prompt_id = $id)
ORDER BY place, reason, detail
"""
_BEFORE = """
SELECT stage, reason, detail,
    coalesce(TRY(payload->>'instruction'), TRY(payload->>'text'), CAST(payload AS VARCHAR)) AS text
FROM quarantine WHERE stage NOT IN ('respond', 'judge', 'format_dpo')
    AND coalesce(TRY(payload->>'prompt_id'), row_id) NOT IN (SELECT prompt_id FROM prompts)
ORDER BY ALL LIMIT ?
"""


def unpaired(run: Run, most: int) -> dict[str, list[dict[str, Any]]]:
    """Return prompts that gave no pair, each with its responses and why, and rows that did not become prompts."""
    with reading(run) as connection:
        return {"prompts": list(each_unpaired(connection, most)), "before": fetch(connection, _BEFORE, [most])}


def each_unpaired(connection: DuckDBPyConnection, most: int) -> Iterator[dict[str, Any]]:
    """Yield prompts that gave no pair by id, each with its responses and why, so that few texts are in memory."""
    for prompt in fetch(connection, _PROMPTS, [most]):
        name = {"id": prompt["prompt_id"]}
        yield {**prompt, "responses": fetch(connection, _RESPONSES, name), "why": fetch(connection, _WHY, name)}


def rated(response: dict[str, Any]) -> str:
    """Return all ratings of a response in words."""
    ratings = ", ".join("?" if rating is None else f"{round(rating, 2):g}" for rating in response["ratings"] or ())
    return say("rated {ratings}", ratings=ratings) if ratings else say("not rated")


def reason_of(row: dict[str, Any]) -> str:
    """Return the stage of a quarantined row, its reason and the detail."""
    return ": ".join(part for part in (row["stage"], row["reason"], row["detail"]) if part)


def draw_unpaired(run: Run, console: Console, most: int) -> None:
    """Draw what a run has of prompts that gave no pair, and of rows that did not become prompts."""
    found = unpaired(run, most)
    if found["prompts"]:
        drawing.heading(console, say("Prompts without a pair"))
    for prompt in found["prompts"]:
        console.print()
        console.print(_table(prompt, console))
    if found["before"]:
        drawing.heading(console, say("Rows that did not become prompts"))
        for row in found["before"]:
            grid = _grid()
            _add(grid, console, "row", reason_of(row), row["text"] or "", "yellow")
            console.print(grid)


def _table(prompt: dict[str, Any], console: Console) -> Table:
    grid = _grid()
    _add(grid, console, "prompt", prompt["prompt_id"], messages_text(prompt["messages"]), "bold")
    for response in prompt["responses"]:
        _add(
            grid,
            console,
            "response",
            f"{response['model']}  {rated(response)}",
            response["content"] or "",
            "bold green",
        )
    for row in prompt["why"]:
        _add(grid, console, "no pair", reason_of(row), row["text"] or "", "yellow")
    return grid


def _grid() -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(width=LABEL_WIDTH)
    grid.add_column(overflow="fold")
    return grid


def _add(grid: Table, console: Console, label: str, title: str, text: str, style: str) -> None:
    """Add a labelled text: its title beside the label, the text below."""
    grid.add_row(plain(say(label), style), plain(title, "dim" if label == "prompt" else style))
    if text:
        grid.add_row("", drawing.block(console, text, console.width - LABEL_WIDTH - 2, None))
