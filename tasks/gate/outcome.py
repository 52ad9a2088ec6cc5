"""How an expectation came out, and the error of a gate that stops a run."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from blocks.models import Config
from blocks.shards import Account, Handle
from blocks.tables import table
from blocks.workspace import Run


class Outcome(Config):
    """How one expectation came out."""

    stage: str = Field(description="The stage.")
    scope: Literal["scout", "whole"] = Field(description="Whether the first chunk or the whole was judged.")
    expectation: str = Field(description="Class and column.")
    severity: str = Field(description="critical, warning or info; approved where a person let it pass.")
    success: bool = Field(description="Whether it holds.")
    observed: str = Field(description="What was seen: a share, a count or a value.")
    detail: str = Field(description="What was expected, or why it could not be evaluated.")

    @property
    def stops(self) -> bool:
        """Whether it is a reason to stop the run."""
        return not self.success and self.severity == "critical"

    def sentence(self) -> str:
        """The outcome in one sentence."""
        return f"{self.stage}: {self.expectation} saw {self.observed}, expected {self.detail}"


class GateFailedError(Exception):
    """Critical expectations that do not hold: the run stops before anything is published."""

    def __init__(self, outcomes: list[Outcome], remedy: str | None = None) -> None:
        sentences = "; ".join(outcome.sentence() for outcome in outcomes)
        super().__init__(f"{sentences}; {remedy}" if remedy else sentences)
        self.outcomes = outcomes


def keep_outcomes(run: Run, stage: str, scope: str, outcomes: Sequence[Outcome]) -> None:
    """Keep the outcomes of a gate in the run's gates table."""
    if outcomes:
        shard = run.workspace.shards.write(table("gates", [outcome.model_dump() for outcome in outcomes]))
        run.add(Handle(stage=f"gate {stage} {scope}", run=run.id, shards={"gates": shard}, account=Account()), False)


def raise_if_failed(outcomes: Sequence[Outcome]) -> None:
    """Raise GateFailedError if a critical expectation does not hold."""
    if failed := [outcome for outcome in outcomes if outcome.stops]:
        raise GateFailedError(failed)
