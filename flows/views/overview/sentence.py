"""A run in one sentence: what it made and where, at what cost, what is missing and why, and what to look at."""

from collections.abc import Mapping, Sequence
from typing import Any

from kasasagi.blocks.models.llm import PASSING
from kasasagi.blocks.workspace.runs import Product
from kasasagi.flows.views.language import say
from kasasagi.flows.views.overview.gates import count_outcomes
from kasasagi.flows.views.safe_text import dollars, plural
from kasasagi.tasks.gate.explain.losses import calls_sent, loss_of, to_look_at

_MAKES = {"pairs": "format_dpo", "responses": "respond"}
"""The stage that makes what a run publishes; instructions are made by the last one that there is."""
_UNITS = {"pairs": "prompt", "responses": "response", "instructions": "instruction"}


def result_sentence(
    product: Product,
    count: int,
    stages: Sequence[Mapping[str, Any]],
    gates: Sequence[Mapping[str, Any]],
    places: Sequence[str],
) -> str:
    """Return what a run came to, in one sentence.

    Args:
        product: What the run makes.
        count: How many of them there are.
        stages: Rows of the table stages, in order, each with its reasons: rows by reason.
        gates: Rows of the table gates.
        places: All places where the dataset is published.
    """
    last = {stage["stage"]: stage for stage in stages}.get(_MAKES.get(product, stages[-1]["stage"]), {"rows_in": 0})
    made = plural(count, product.removesuffix("s"))
    source = f" from {plural(last['rows_in'], 'prompt')}" if product == "pairs" and last["rows_in"] else ""
    usd = sum(stage["cost_usd"] for stage in stages)
    calls = calls_sent(sum(stage["calls_paid"] for stage in stages), usd)
    look = [say(one) for one in to_look_at([gate["severity"] for gate in gates if not gate["success"]])]
    missing = [*_lost(product, last, stages), *_unanswered(stages)]
    passed = [say(count_outcomes(gates, "gate"))] if gates and not look and not missing else []
    parts = [
        say(made + source) + (say(" in ") + say(" and in ").join(places) if places else ""),
        say(f"{calls}, {dollars(usd)}"),
        *missing,
        *(look or passed),
    ]
    return say("; ").join(parts)


def _lost(product: Product, stage: Mapping[str, Any], stages: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return how many rows gave nothing and what for, if any."""
    loss = loss_of(stage, stages)
    if loss is None:
        return []
    became = "gave no pair" if product == "pairs" else "was rejected" if loss.rows == 1 else "were rejected"
    lost, why = loss.words(_UNITS[product], became)
    return [f"{say(lost)} {why}"]


def _unanswered(stages: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return how many calls got no answer that may get one another time, if any."""
    reasons = [(reason, rows) for stage in stages for reason, rows in (stage.get("reasons") or {}).items()]
    lost = sum(rows for reason, rows in reasons if reason in PASSING and reason != "budget_spent")
    return [say(f"{plural(lost, 'call')} got no answer: run again to ask only what is missing")] if lost else []
