"""A plan on the terminal: what each stage will ask for, and all of them together."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console

from kasasagi.flows.views import drawing
from kasasagi.flows.views.drawing import Kind, plain, short
from kasasagi.flows.views.language import say, say_names
from kasasagi.flows.views.safe_text import dollars

if TYPE_CHECKING:
    from kasasagi.tasks.plans.counting import StagePlan

_NUMBERS = ("calls", "in the ledger", "to pay for", "prompt tokens", "completion tokens", "dollars")
_REPAIRS = "repairs"


def draw_plan(plans: "Sequence[StagePlan]", console: Console) -> None:
    """Draw the plans of stages and their total; repairs are the further calls for replies that cannot be read."""
    repaired = any(one.repairs for one in plans)
    numbers: list[tuple[str, Kind]] = [(name, "right") for name in (*_NUMBERS, *([_REPAIRS] if repaired else []))]
    table = drawing.new_table(say_names([("stage", "fixed"), *numbers]))
    for one in plans:
        table.add_row(short(one.stage, "bold"), *_cells([one])[: len(numbers)])
    if len(plans) > 1:
        table.add_row(plain(say("all"), "bold"), *_cells(plans)[: len(numbers)])
    drawing.draw(console, table)
    if any(one.completion_tokens for one in plans):
        text = say("tokens: as if each answer were as long as max_tokens allows; most runs take far fewer")
        console.print(plain(text, "dim"), soft_wrap=True)
    if repaired:
        text = say("repairs: further calls at most, where a reply cannot be read; no other column counts them")
        console.print(plain(text, "dim"), soft_wrap=True)


def _cells(plans: "Sequence[StagePlan]") -> list[str]:
    """Return the cells of a row that counts some stages together."""
    bound = "up to {}" if any(one.at_most for one in plans) else "{}"
    repairs = sum(one.repairs for one in plans)
    return [
        say(bound.format(f"{sum(one.calls for one in plans):,}")),
        f"{sum(one.known for one in plans):,}",
        say(bound.format(f"{sum(one.to_pay for one in plans):,}")),
        say(f"about {sum(one.prompt_tokens for one in plans):,}"),
        say(f"about {sum(one.completion_tokens for one in plans):,}"),
        dollars(sum(one.cost_usd for one in plans)),
        say(f"up to {repairs:,}") if repairs else "",
    ]
