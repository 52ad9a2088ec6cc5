"""What an expectation saw: counts that add up over the pieces of a large table, and the outcome that they make."""

import re
from dataclasses import dataclass, field
from typing import Any, Literal

from kasasagi.tasks.gate.expectation import Expectation
from kasasagi.tasks.gate.explain.words import describe_observed, is_lenient, limit_of, rows_in
from kasasagi.tasks.gate.outcome import Outcome
from kasasagi.tasks.gate.validation_results import counts_in

_KIND = re.compile(r"\w*(Error|Exception)\b")
COUNTS = ("element_count", "missing_count", "unexpected_count")
# Great Expectations counts their rows one by one too, but each row is judged by the others.
ROWS_TOGETHER = frozenset(
    {
        "ExpectColumnValuesToBeUnique",
        "ExpectCompoundColumnsToBeUnique",
        "ExpectColumnValuesToBeIncreasing",
        "ExpectColumnValuesToBeDecreasing",
        "ExpectColumnValueZScoresToBeLessThan",
    }
)


@dataclass(frozen=True)
class ExpectationCounts:
    """What an expectation saw in some rows: why it could not be evaluated, whether it held, and the counts."""

    fault: str | None = None
    success: bool = False
    result: dict[str, Any] = field(default_factory=dict)

    def with_more(self, other: "ExpectationCounts", one: Expectation) -> "ExpectationCounts":
        """Return these counts and those of further rows; `mostly` is held against the rows of both."""
        if self.fault is not None or other.fault is not None:
            return self if self.fault is not None else other
        counts = {name: (self.result.get(name) or 0) + (other.result.get(name) or 0) for name in COUNTS}
        present = counts["element_count"] - counts["missing_count"]
        least = float(one.arguments.get("mostly", 1.0))
        held = present == 0 or (present - counts["unexpected_count"]) / present >= least
        return ExpectationCounts(
            None, held, {**counts, "unexpected_percent": 100 * counts["unexpected_count"] / max(1, present)}
        )


def speaks_of_rows_alone(one: Expectation) -> bool:
    """Return whether an expectation judges each row by itself, so that a table may be judged in pieces."""
    import great_expectations.expectations as gxe
    from great_expectations.expectations import expectation as kinds

    known = getattr(gxe, one.expectation, None)
    mapped = (kinds.ColumnMapExpectation, kinds.ColumnPairMapExpectation, kinds.MulticolumnMapExpectation)
    return isinstance(known, type) and issubclass(known, mapped) and one.expectation not in ROWS_TOGETHER


def outcome_of(
    one: Expectation, scope: Literal["scout", "whole"], arguments: dict[str, Any], seen: ExpectationCounts
) -> Outcome:
    """Return how an expectation came out; if it could not be evaluated it has failed, critically."""
    base: dict[str, Any] = {"stage": one.stage, "scope": scope, "expectation": one.name, "arguments": arguments}
    if seen.fault is not None:
        why = f"could not evaluate ({seen.fault.strip().splitlines()[0][:300]})"
        kind = _KIND.match(seen.fault)  # the message may hold values of rows
        fault = kind[0] if kind else "MetricError"
        return Outcome(**base, severity="critical", success=False, observed="nothing", detail=why, fault=fault)
    lenient = one.severity == "critical" and is_lenient(one, rows_in(seen.result))
    return Outcome(
        **base,
        severity="warning" if lenient and not seen.success else one.severity,
        success=seen.success,
        observed=describe_observed(one, seen.result),
        detail=limit_of(one, arguments),
        counts=counts_in(one.expectation, seen.result, one.is_audit or "unexpected_rows_query" in arguments),
    )
