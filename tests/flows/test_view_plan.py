"""The plan on the terminal: each stage, their total, and the calls that unreadable replies may add."""

import io

from rich.console import Console

from kasasagi.flows.views.plan import draw_plan
from kasasagi.tasks.plans.counting import StagePlan

RESPOND = StagePlan(stage="respond", calls=80, known=30, prompt_tokens=1000, completion_tokens=500, cost_usd=0.5)
JUDGE = StagePlan(stage="judge", calls=160, known=0, at_most=True, prompt_tokens=9000, cost_usd=1.25, repairs=160)


def lines(*plans: StagePlan) -> list[list[str]]:
    file = io.StringIO()
    draw_plan(plans, Console(file=file, width=140, color_system=None))
    return [line.split("  ") for line in file.getvalue().splitlines()]


def cells(*plans: StagePlan) -> dict[str, list[str]]:
    rows = [[cell.strip() for cell in line if cell.strip()] for line in lines(*plans)]
    return {row[0]: row[1:] for row in rows}


def test_the_last_row_adds_up_the_stages() -> None:
    shown = cells(RESPOND, JUDGE)
    assert shown["stage"][:3] == ["calls", "in the ledger", "to pay for"]
    assert shown["all"] == ["up to 240", "30", "up to 210", "about 10,000", "about 500", "$1.75", "up to 160"]
    assert "all" not in cells(RESPOND)


def test_repairs_have_a_column_where_there_may_be_some() -> None:
    shown = cells(RESPOND, JUDGE)
    assert shown["stage"][-1] == "repairs"
    assert shown["judge"][-1] == "up to 160"
    assert any(name.startswith("repairs: further calls") for name in shown)
    assert "repairs" not in cells(RESPOND)["stage"]
