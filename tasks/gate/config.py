"""What a recipe says of its gates: what happens when one fails, and how the defaults are changed."""

from typing import Any, Literal

from pydantic import Field, model_validator

from kasasagi.blocks.models.kinds import Config
from kasasagi.tasks.gate.expectation import Expectation
from kasasagi.tasks.pipeline import default_expectations, gate_of


class GatesConfig(Config):
    """What happens when a gate fails, and which expectations are added or changed."""

    on_fail: Literal["stop", "pause", "warn"] = Field(
        "stop", description="Stop the run before anything is published, pause it for a person's approval, or warn."
    )
    wait_hours: float = Field(
        72.0,
        gt=0,
        description="Hours that a paused run of a deployment waits; a run in a terminal ends at once.",
    )
    expect: tuple[Expectation, ...] = Field((), description="Expectations to add, or changes of the defaults.")

    @model_validator(mode="before")
    @classmethod
    def _lays_over_defaults(cls, value: Any) -> Any:
        # A change names the stage, the class and the column; what it does not name stays as in the default.
        if isinstance(value, dict) and isinstance(value.get("expect"), list | tuple):
            return {**value, "expect": [_over_default(entry) for entry in value["expect"]]}
        return value

    def all(self, several_judges: bool = False, verifies: bool = False) -> tuple[Expectation, ...]:
        """Return the defaults with the recipe's changes, then what the recipe adds."""
        defaults = default_expectations(several_judges, verifies)
        kept = [default for default in defaults if not any(own.replaces(default) for own in self.expect)]
        return (*kept, *self.expect)


def _over_default(entry: Any) -> Any:
    if not isinstance(entry, dict):
        return entry
    gate = gate_of(str(entry.get("stage")))
    for default in (*gate.expect, *gate.of_several_judges, *gate.of_checkers):
        known = default.model_dump()
        if all(known.get(key) == entry.get(key) for key in ("stage", "expectation", "column")):
            return {**known, **entry}
    return entry
