"""What an expectation saw: counts that add up over the pieces of a large table, and the outcome that they make."""

from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from tasks.gate.config import Expectation
from tasks.gate.outcome import Outcome

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
class Tally:
    """What an expectation saw in some rows: why it could not be evaluated, whether it held, and the counts."""

    fault: str | None = None
    success: bool = False
    result: dict[str, Any] = field(default_factory=dict)

    def with_more(self, other: "Tally", one: Expectation) -> "Tally":
        """This tally and that of further rows; `mostly` is held against the rows of both."""
        if self.fault is not None or other.fault is not None:
            return self if self.fault is not None else other
        counts = {name: (self.result.get(name) or 0) + (other.result.get(name) or 0) for name in COUNTS}
        present = counts["element_count"] - counts["missing_count"]
        least = float(one.arguments.get("mostly", 1.0))
        held = present == 0 or (present - counts["unexpected_count"]) / present >= least
        return Tally(None, held, {**counts, "unexpected_percent": 100 * counts["unexpected_count"] / max(1, present)})


def speaks_of_rows_alone(one: Expectation) -> bool:
    """Whether an expectation judges each row by itself, so that a table may be judged in pieces."""
    import great_expectations.expectations as gxe
    from great_expectations.expectations import expectation as kinds

    known = getattr(gxe, one.expectation, None)
    mapped = (kinds.ColumnMapExpectation, kinds.ColumnPairMapExpectation, kinds.MulticolumnMapExpectation)
    return isinstance(known, type) and issubclass(known, mapped) and one.expectation not in ROWS_TOGETHER


def outcome_of(one: Expectation, scope: Literal["scout", "whole"], arguments: dict[str, Any], seen: Tally) -> Outcome:
    """How an expectation came out; if it could not be evaluated it has failed, critically."""
    base = {"stage": one.stage, "scope": scope, "expectation": one.name}
    if seen.fault is not None:
        why = f"could not evaluate ({seen.fault.strip().splitlines()[0][:300]})"
        return Outcome(**base, severity="critical", success=False, observed="nothing", detail=why)
    return Outcome(
        **base,
        severity=one.severity,
        success=seen.success,
        observed=_observed(seen.result),
        detail=_expected(arguments),
    )


def _observed(result: dict[str, Any]) -> str:
    if "unexpected_percent" in result and result.get("element_count") is not None:
        missing = result.get("missing_count") or 0
        count = result["element_count"] - missing
        bad = result.get("unexpected_count") or 0
        share = f"{1 - bad / count:.1%}" if count else "no rows"
        return f"{share} of {count:,} as expected" if count else share
    value = result.get("observed_value")
    return orjson.dumps(value, default=str).decode() if value is not None else "no value"


def _expected(arguments: dict[str, Any]) -> str:
    shown = {name: value for name, value in arguments.items() if name not in ("column", "mostly")}
    words = ", ".join(f"{name} {orjson.dumps(value, default=str).decode()}" for name, value in shown.items())
    mostly = arguments.get("mostly")
    return f"{words or 'it to hold'}{f' in at least {mostly:.1%}' if mostly is not None else ''}"
