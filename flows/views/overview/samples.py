"""Some responses on the terminal, of a run that makes no pairs of them."""

from typing import Any

from rich.console import Console
from rich.table import Table

from kasasagi.flows.views import drawing
from kasasagi.flows.views.drawing import plain, short
from kasasagi.flows.views.language import say
from kasasagi.flows.views.safe_text import messages_text, plural

LABEL_WIDTH = 10


def draw_responses(shown: dict[str, Any], console: Console, full: bool) -> None:
    """Draw the responses of a summary, each under its prompt; `full` shows their texts uncut."""
    count = shown["response_count"]
    running = shown["state"]["status"] == "running"
    if not count:
        console.print()
        console.print(plain(say("No responses yet." if running else "No responses."), "dim"))
        return
    drawing.heading(console, say(f"Responses: {len(shown['responses']):,} of {plural(count, 'response')}"))
    for row in shown["responses"]:
        console.print()
        console.print(_response(row, console, full))


def _response(row: dict[str, Any], console: Console, full: bool) -> Table:
    """Return a response as two labelled texts."""
    width, lines = console.width - LABEL_WIDTH - 2, None if full else drawing.TEXT_LINES
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(width=LABEL_WIDTH)
    grid.add_column(overflow="fold")
    grid.add_row(plain(say("prompt"), "bold"), plain(row["prompt_id"], "dim"))
    grid.add_row("", drawing.block(console, messages_text(row["messages"] or []), width, lines))
    grid.add_row(plain(say("response"), "bold green"), short(row["model"], "green"))
    grid.add_row("", drawing.block(console, row["content"] or "", width, lines))
    return grid
