"""What a gate expects: the defaults, and how a recipe adds to them or changes them."""

import difflib
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from blocks.models import Config

Severity = Literal["critical", "warning", "info"]
Scope = Literal["scout", "whole", "both"]
GATED = Literal["load", "synthesize", "filter", "tags", "rewrite", "converse", "respond", "judge", "format_dpo"]


class Expectation(Config):
    """One expectation, by its Great Expectations name; further keys are its arguments."""

    model_config = ConfigDict(frozen=True, extra="allow")

    stage: GATED = Field(description="The stage whose rows are judged.")
    expectation: str = Field(pattern=r"^Expect[A-Za-z]+$", description="Name of the Great Expectations class.")
    severity: Severity = Field("critical", description="A critical expectation that fails stops the run.")
    scope: Scope = Field("both", description="Judged on the scout (the first chunk), on the whole, or on both.")

    @field_validator("expectation")
    @classmethod
    def _is_known(cls, value: str) -> str:
        known = _known_expectations()
        if known and value.casefold() not in {name.casefold() for name in known}:
            near = difflib.get_close_matches(value, known, n=1)
            raise ValueError(f"there is no such expectation{f'; did you mean {near[0]!r}?' if near else ''}")
        return value

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of the Great Expectations class."""
        return dict(self.model_extra or {})

    @property
    def name(self) -> str:
        """What it is known by: its class and its column."""
        column = self.arguments.get("column")
        return f"{self.expectation}({column})" if column else self.expectation

    @property
    def columns(self) -> set[str]:
        """The columns that it names."""
        named = {str(self.arguments[name]) for name in ("column", "column_A", "column_B") if name in self.arguments}
        listed = [self.arguments.get(name) for name in ("column_list", "column_set")]
        return named | {str(name) for names in listed if isinstance(names, list | tuple) for name in names}

    def replaces(self, other: "Expectation") -> bool:
        """Whether it speaks of the same stage, class and column."""
        return (self.stage, self.name) == (other.stage, other.name)


@cache
def _known_expectations() -> tuple[str, ...]:
    """Names of Great Expectations' own classes, from its file names, since its import costs seconds."""
    package = find_spec("great_expectations")
    if package is None or package.origin is None:
        return ()
    files = (Path(package.origin).parent / "expectations" / "core").glob("expect_*.py")
    return tuple(sorted("".join(part.capitalize() for part in file.stem.split("_")) for file in files))


class GatesConfig(Config):
    """What happens when a gate fails, and what is expected beside the defaults."""

    on_fail: Literal["stop", "pause", "warn"] = Field(
        "stop", description="Stop the run before anything is published, pause it for a person's approval, or warn."
    )
    wait_hours: float = Field(
        72.0,
        gt=0,
        description="How long a paused run of a deployment waits; one in a terminal ends.",
    )
    expect: tuple[Expectation, ...] = Field((), description="Expectations added, or defaults changed.")

    @model_validator(mode="before")
    @classmethod
    def _lays_over_defaults(cls, value: Any) -> Any:
        # A change names the stage, the class and the column; what it does not name stays as in the default.
        if isinstance(value, dict) and isinstance(value.get("expect"), list | tuple):
            return {**value, "expect": [_over_default(entry) for entry in value["expect"]]}
        return value

    def all(self, several_judges: bool = False) -> tuple[Expectation, ...]:
        """The defaults with the recipe's changes, then what the recipe adds."""
        defaults = (*DEFAULTS, *AGREEMENT) if several_judges else DEFAULTS
        kept = [default for default in defaults if not any(own.replaces(default) for own in self.expect)]
        return (*kept, *self.expect)


def _over_default(entry: Any) -> Any:
    if not isinstance(entry, dict):
        return entry
    for default in (*DEFAULTS, *AGREEMENT):
        known = default.model_dump()
        if all(known.get(key) == entry.get(key) for key in ("stage", "expectation", "column")):
            return {**known, **entry}
    return entry


def _never(stage: GATED, column: str, most: float, scope: Scope = "both") -> Expectation:
    """The share of rows where a yes-or-no column holds is at most that."""
    return Expectation(
        stage=stage,
        expectation="ExpectColumnValuesToBeInSet",
        scope=scope,
        **{"column": column, "value_set": [False], "mostly": round(1 - most, 6)},
    )


def _holds(
    stage: GATED, column: str, least: float, scope: Scope = "both", severity: Severity = "critical"
) -> Expectation:
    """The share of rows where a yes-or-no column holds is at least that."""
    return Expectation(
        stage=stage,
        expectation="ExpectColumnValuesToBeInSet",
        scope=scope,
        severity=severity,
        **{"column": column, "value_set": [True], "mostly": least},
    )


def _rows(stage: GATED) -> Expectation:
    return Expectation(stage=stage, expectation="ExpectTableRowCountToBeBetween", scope="whole", **{"min_value": 1})


def _unique(stage: GATED, column: str) -> Expectation:
    return Expectation(stage=stage, expectation="ExpectColumnValuesToBeUnique", scope="whole", **{"column": column})


DEFAULTS: tuple[Expectation, ...] = (
    _rows("load"),
    _rows("filter"),
    _unique("filter", "prompt_id"),
    _never("tags", "unreadable", 0.05),
    _never("rewrite", "unreadable", 0.20),
    _holds("converse", "has_its_turns", 0.50),
    _unique("converse", "prompt_id"),
    _never("respond", "truncated", 0.05),
    _never("respond", "refused", 0.10),
    _holds("respond", "language_as_asked", 0.95),
    _unique("respond", "response_id"),
    _never("judge", "unreadable", 0.05),
    _holds("judge", "same_in_both_orders", 0.60),
    _holds("format_dpo", "gives_pair", 0.25),
    _never("format_dpo", "chosen_is_longer", 0.75),
    _never("format_dpo", "chosen_from_favourite", 0.90),
)
AGREEMENT = (_holds("judge", "judges_agree", 0.60, severity="warning"),)
"""What is expected beside the defaults where several judges have a say."""
