"""What a run lost: why rows gave nothing, which gates failed; and what it sent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

CONSEQUENCES = ("nothing_to_compare", "too_few_responses")
"""Reasons of rows that lack others, which an earlier stage quarantined."""
WARNINGS = ("warning", "info")
"""Severities with which an expectation that fails stops nothing."""
FEWER_LEFT = "most often because fewer than two answers were left"


@dataclass(frozen=True, slots=True)
class Loss:
    """How many rows of a stage gave nothing, of how many, the commonest reason, and how many rows have it.

    `cause` is the commonest reason for which the stage `respond` rejected answers, with its rows, if `reason` is a
    consequence of that.
    """

    rows: int
    of: int
    reason: str
    count: int
    cause: tuple[str, int] | None

    def words(self, unit: str, became: str) -> tuple[str, str]:
        """Return what was lost: a text that may be translated, and the reason that follows it.

        Args:
            unit: What the rows are, in the singular.
            became: What became of them, such as `gave no pair`.
        """
        lost = f"{self.rows:,} of {self.of:,} {unit}{'' if self.of == 1 else 's'} {became}"
        if self.cause is None:
            return f"{lost}, most often", f"{self.reason} ({self.count:,})"
        return f"{lost}, {FEWER_LEFT}", f"({self.cause[0]} {self.cause[1]:,})"


def loss_of(stage: Mapping[str, Any], stages: Sequence[Mapping[str, Any]]) -> Loss | None:
    """Return what a stage lost and why; None if it lost nothing.

    Args:
        stage: A row of the table stages with its reasons: rows by reason.
        stages: All of them.
    """
    if not stage.get("reasons"):
        return None
    reason, count = _commonest(stage["reasons"])
    responding = next((one for one in stages if one["stage"] == "respond"), {})
    removed = responding.get("reasons") if reason == "too_few_responses" else None
    cause = _commonest(removed) if removed else None
    return Loss(stage["quarantined"], max(stage["rows_in"] or 0, stage["quarantined"]), reason, count, cause)


def calls_sent(calls: int, usd: float) -> str:
    """Return how many calls a run made: calls to a model without a price are sent, not paid for."""
    noun = "call" if calls == 1 else "calls"
    return f"{calls:,} paid {noun}" if usd else f"{calls:,} {noun} sent"


def _commonest(reasons: Mapping[str, int]) -> tuple[str, int]:
    return max(reasons.items(), key=lambda found: found[1])


def to_look_at(severities: Sequence[str]) -> list[str]:
    """Return how many gates failed, and how many only warn, where any do.

    Args:
        severities: The severities of the expectations that failed.
    """
    warned = [severity in WARNINGS for severity in severities]
    counts = ((warned.count(False), "failed gate"), (warned.count(True), "warning"))
    return [f"look at {count:,} {noun}{'' if count == 1 else 's'}" for count, noun in counts if count]
