"""How an expectation came out, and the error of a gate that stops a run."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from kasasagi.blocks.models.kinds import Config
from kasasagi.blocks.workspace.runs import Run
from kasasagi.blocks.workspace.shards import Account, Handle
from kasasagi.tasks.gate.explain.words import plain_name
from kasasagi.tasks.gate.validation_results import ValidationResult, write_results
from kasasagi.tasks.tables import table


class Outcome(Config):
    """How one expectation came out."""

    stage: str = Field(description="The stage.")
    scope: Literal["scout", "whole"] = Field(description="Whether the first chunk or the whole was judged.")
    expectation: str = Field(description="Class and column.")
    severity: str = Field(description="critical, warning or info; approved where a person let it pass.")
    success: bool = Field(description="Whether it holds.")
    observed: str = Field(description="What was seen: a share, a count or a value.")
    detail: str = Field(description="What was expected, or why it could not be evaluated.")
    arguments: dict[str, Any] = Field({}, description="The arguments of the class, as they were applied.")
    counts: dict[str, int | float] = Field({}, description="What was counted, without values of rows.")
    fault: str | None = Field(None, description="The exception that kept it from being evaluated.")

    @property
    def stops(self) -> bool:
        """Whether it is a reason to stop the run."""
        return not self.success and self.severity == "critical"

    def sentence(self) -> str:
        """Return the outcome in one sentence."""
        return f"{self.stage}: {plain_name(self.expectation, self.stage)}: {self.observed} ({self.detail})"

    def result(self) -> ValidationResult:
        """Return the outcome as it is kept in the run's folder, without values of rows."""
        return ValidationResult(
            expectation=self.expectation,
            name=plain_name(self.expectation, self.stage),
            severity=self.severity,
            success=self.success,
            arguments=self.arguments,
            counts=self.counts,
            fault=self.fault,
        )


class GateFailedError(Exception):
    """Critical expectations that do not hold: the run stops before anything is published."""

    def __init__(self, outcomes: list[Outcome], remedy: str | None = None, reason: str | None = None) -> None:
        sentences = "; ".join(outcome.sentence() for outcome in outcomes)
        super().__init__("; ".join(part for part in (sentences, reason, remedy) if part))
        self.outcomes = outcomes


def keep_outcomes(run: Run, stage: str, scope: str, outcomes: Sequence[Outcome]) -> None:
    """Keep the outcomes of a gate in the run's gates table, and its validation results in the run's folder."""
    if outcomes:
        write_results(run, stage, scope, [outcome.result() for outcome in outcomes])
        shard = run.workspace.shards.write(table("gates", [outcome.model_dump() for outcome in outcomes]))
        run.add(Handle(stage=f"gate {stage} {scope}", run=run.id, shards={"gates": shard}, account=Account()), False)


def raise_if_failed(outcomes: Sequence[Outcome]) -> None:
    """Raise GateFailedError if a critical expectation does not hold."""
    if failed := [outcome for outcome in outcomes if outcome.stops]:
        raise GateFailedError(failed)
