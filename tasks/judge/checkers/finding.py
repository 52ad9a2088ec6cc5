"""What a checker is given and what it finds."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

CheckVerdict = Literal["correct", "incorrect", "cannot_tell"]


@dataclass(frozen=True, slots=True)
class Case:
    """One answer and what it is checked against.

    Attributes:
        answer: The response's text.
        truth: What the row's truth column or the recipe's constraint holds; None where there is none.
        prompt: The last user turn.
        row: The prompt's columns, with the response's own: content, model, finish_reason.
    """

    answer: str
    truth: Any = None
    prompt: str = ""
    row: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict with its reason: for people, and for machines a code where there is no verdict."""

    verdict: CheckVerdict
    detail: str
    reason: str = ""


Checker = Callable[[Case], Finding]


def correct(detail: str) -> Finding:
    """Return the verdict that the answer is right."""
    return Finding("correct", detail)


def incorrect(detail: str) -> Finding:
    """Return the verdict that the answer is wrong."""
    return Finding("incorrect", detail)


def cannot_tell(detail: str, reason: str = "cannot_tell") -> Finding:
    """Return the verdict that nothing can be said for sure about the answer."""
    return Finding("cannot_tell", detail, reason)


def best_of(findings: list[Finding]) -> Finding:
    """Return the finding where any of several truths is good enough: an answer is wrong only if it is under each."""
    if not findings:
        return cannot_tell("no truth is given that it could be held against", "bad_truth")
    order: dict[CheckVerdict, int] = {"correct": 0, "cannot_tell": 1, "incorrect": 2}
    return min(findings, key=lambda one: order[one.verdict])
