"""What waits for a person's approval, on the terminal."""

from collections.abc import Sequence

from rich.console import Console

from kasasagi.blocks.workspace.runs import Run
from kasasagi.flows.upkeep.stopped_runs import rows_behind
from kasasagi.flows.views.drawing import plain
from kasasagi.flows.views.safe_text import one_line
from kasasagi.tasks.gate.explain.words import SCOPES
from kasasagi.tasks.gate.outcome import Outcome

LONGEST_TEXT = 300


def draw_waiting(run: Run, outcomes: Sequence[Outcome], console: Console) -> None:
    """Each outcome with some of the rows behind it."""
    for outcome, rows in zip(outcomes, rows_behind(run, outcomes), strict=True):
        console.print(plain(f"{outcome.sentence()}, on {SCOPES[outcome.scope]}", "bold"), soft_wrap=True)
        for row in rows:
            console.print(plain(f"  {row['id'][:12]}  {one_line(row['text'] or '', LONGEST_TEXT)}"), soft_wrap=True)
