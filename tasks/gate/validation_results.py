"""Validation results as JSON files in a run's folder: what was expected and counted, and no value of any row."""

import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
from pydantic import Field, ValidationError

from kasasagi.blocks.models.kinds import Config
from kasasagi.blocks.workspace.runs import Run, WorkspaceError

FOLDER = "gates"
COUNTS = (
    "element_count",
    "missing_count",
    "missing_percent",
    "unexpected_count",
    "unexpected_percent",
    "unexpected_percent_nonmissing",
    "unexpected_percent_total",
)
# Great Expectations' other classes observe values of rows: a maximum, a median, the values of a set.
_AGGREGATE = re.compile(r"^Expect\w*(Count|Mean|Proportion|Stdev)")


class ValidationResult(Config):
    """The result of one expectation."""

    expectation: str = Field(description="Class and column, as in the table gates.")
    name: str = Field(description="What it is about, for people.")
    severity: str = Field(description="critical, warning or info; approved where a person let it pass.")
    success: bool = Field(description="Whether it holds.")
    arguments: dict[str, Any] = Field(description="The arguments of the class, as they were applied.")
    counts: dict[str, int | float] = Field(description="Counts and shares, and no value of any row.")
    fault: str | None = Field(description="The exception that kept it from being evaluated, without its message.")


class StageResults(Config):
    """The results of one stage on its first chunk or on the whole."""

    run: str = Field(description="The run.")
    stage: str = Field(description="The stage.")
    scope: str = Field(description="Whether the first chunk or the whole was judged.")
    judged: float = Field(description="When, in seconds since 1970.")
    success: bool = Field(description="Whether all expectations hold.")
    results: tuple[ValidationResult, ...] = Field(description="One result for each expectation.")


def counts_in(expectation: str, result: dict[str, Any], aggregates: bool) -> dict[str, int | float]:
    """Return the counts of a result of Great Expectations, without the values of rows that it may hold.

    Args:
        expectation: The class, or the dotted path of an own class.
        result: The result.
        aggregates: Whether the observed value is a count or a figure of all rows, such as that of a query.
    """
    names = (*COUNTS, "observed_value") if aggregates or _AGGREGATE.match(expectation) else COUNTS
    found = {name: result.get(name) for name in names}
    return {name: value for name, value in found.items() if isinstance(value, int | float)}


def write_results(run: Run, stage: str, scope: str, results: Sequence[ValidationResult]) -> Path:
    """Write the results of a stage into the run's folder, in place of earlier ones; return the file."""
    success = all(one.success for one in results)
    made = StageResults(
        run=run.id, stage=stage, scope=scope, judged=time.time(), success=success, results=tuple(results)
    )
    file = run.folder / FOLDER / f"{stage}-{scope}.json"
    file.parent.mkdir(exist_ok=True)
    new = file.with_suffix(".new")
    new.write_bytes(orjson.dumps(made.model_dump(), default=str, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS))
    new.replace(file)
    return file


def read_results(run: Run) -> list[StageResults]:
    """Return the results in a run's folder, in the order in which they were judged. Raises WorkspaceError."""
    found = []
    for file in (run.folder / FOLDER).glob("*.json"):
        try:
            found.append(StageResults.model_validate_json(file.read_bytes()))
        except ValidationError as error:
            raise WorkspaceError(f"{file} is damaged: remove it, or run the recipe again") from error
    return sorted(found, key=lambda one: (one.judged, one.stage, one.scope))


def seen_on_scout(run: Run, stage: str, failed: Sequence[ValidationResult]) -> list[bool]:
    """Return for each failed result of a whole stage whether it failed on the first chunk with the same counts."""
    scout = [
        result
        for found in read_results(run)
        if (found.stage, found.scope) == (stage, "scout")
        for result in found.results
    ]
    seen = {one.expectation: one.counts for one in scout if not one.success}
    return [one.counts == seen.get(one.expectation) for one in failed]
