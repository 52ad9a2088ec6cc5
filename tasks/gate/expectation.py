"""One expectation of a gate, and the few kinds that the defaults are made of."""

from collections.abc import Iterable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field, PrivateAttr, field_validator, model_validator

from kasasagi.blocks.models.kinds import Config
from kasasagi.blocks.suggestions import close_to

Severity = Literal["critical", "warning", "info"]
Scope = Literal["scout", "whole", "both"]
BY_QUERY = "UnexpectedRowsExpectation"
BATCH = "{batch}"
"""What stands for the stage's rows in a query, as in Great Expectations."""
ALIKE = 0.6
"""How alike a misspelt name must be: all of them begin with the same word."""
AUDITS: dict[str, dict[str, Any]] = {
    "ExpectSelfPreferenceToBeBetween": {"stage": "judge", "max_value": 0.1},
    "ExpectShortcutAucToBeBetween": {"stage": "format_dpo", "max_value": 0.9},
    "ExpectSplitDuplicatesToBeBetween": {"stage": "format_dpo", "max_value": 0.01},
}
"""Our own expectations on a figure of all rows together: the stage of each and its usual limit."""
_OF_AUDITS = {"severity": "warning", "scope": "whole"}
_BOUNDS = {"min_value", "max_value"}
_CLASSES = "a Great Expectations class, or a class in a file next to the recipe, such as my_gates:ExpectShortAnswers"


class Expectation(Config):
    """One expectation, by its Great Expectations name; further keys are its arguments."""

    model_config = ConfigDict(frozen=True, extra="allow")

    stage: str = Field(description="The stage whose rows are evaluated.")
    expectation: str = Field(
        pattern=rf"^((\w+[.:])*Expect\w+|{BY_QUERY})$",
        description="Name of the Great Expectations class, or the dotted path of a class in a Python file next to the "
        "recipe, such as `my_gates:ExpectShortAnswers`, or the name of an audit, such as "
        "`ExpectShortcutAucToBeBetween`.",
    )
    severity: Severity = Field(
        "critical", description="Severity; a critical expectation that fails stops the run. Audits: warning."
    )
    scope: Scope = Field(
        "both", description="Evaluate it on the scout (the first chunk), on all rows (whole), or on both."
    )
    unexpected_rows_query: str | None = Field(
        None,
        description=f"SQL for {BY_QUERY}, such as `SELECT * FROM {BATCH} WHERE rating > 5`: {BATCH} is the stage's "
        "rows, and a row that the query returns is one too many.",
    )
    _of_class: dict[str, Any] = PrivateAttr(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _has_the_defaults_of_its_audit(cls, value: Any) -> Any:
        audit = AUDITS.get(str(value.get("expectation"))) if isinstance(value, dict) else None
        if audit is None:
            return value
        usual = {**_OF_AUDITS, **audit}
        return {**{key: usual[key] for key in usual if key not in _BOUNDS or not _BOUNDS & value.keys()}, **value}

    @field_validator("expectation")
    @classmethod
    def _is_known(cls, value: str) -> str:
        known = (*_known_expectations(), BY_QUERY, *AUDITS)
        if (
            not _is_dotted(value)
            and len(known) > 1 + len(AUDITS)
            and value.casefold() not in {name.casefold() for name in known}
        ):
            close = close_to(value, known, ALIKE)
            raise ValueError(
                f"{value!r} is not an expectation; " + (f"did you mean {close!r}?" if close else f"name {_CLASSES}")
            )
        return value

    @model_validator(mode="after")
    def _has_its_query(self) -> "Expectation":
        query = self.unexpected_rows_query
        if query is None and self.expectation == BY_QUERY:
            raise ValueError(f"{BY_QUERY} needs unexpected_rows_query: write SELECT * FROM {BATCH} WHERE …")
        if query is not None and self.expectation != BY_QUERY and not self.is_own:
            raise ValueError(f"unexpected_rows_query belongs to {BY_QUERY}: name that class, or leave the query out")
        return self

    @model_validator(mode="after")
    def _fits_its_audit(self) -> "Expectation":
        if not self.is_audit:
            return self
        stage, bounds = AUDITS[self.expectation]["stage"], self.model_extra or {}
        if self.stage != stage:
            raise ValueError(f"{self.expectation} looks at {stage} and not at {self.stage}: write stage: {stage}")
        numbers = [type(bound) in (int, float) for bound in bounds.values()]
        if not bounds or bounds.keys() - _BOUNDS or not all(numbers):
            raise ValueError(f"{self.expectation} takes the numbers min_value and max_value alone: name one of them")
        return self

    @property
    def is_audit(self) -> bool:
        """Whether it holds a figure of an audit against bounds, which Great Expectations does not evaluate."""
        return self.expectation in AUDITS

    @property
    def is_own(self) -> bool:
        """Whether its class is the user's own, in a file next to the recipe."""
        return _is_dotted(self.expectation)

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of the Great Expectations class, those that an own class sets by itself included."""
        query = self.unexpected_rows_query
        named = {} if query is None else {"unexpected_rows_query": query}
        return {**self._of_class, **(self.model_extra or {}), **named}

    @property
    def name(self) -> str:
        """Its name: its class, and its column, description or query."""
        named = self.model_extra or {}
        about = named.get("column") or (self.unexpected_rows_query and (named.get("description") or self._one_line()))
        return f"{self.expectation}({about})" if about else self.expectation

    def _one_line(self) -> str:
        return " ".join((self.unexpected_rows_query or "").split())

    def with_class_defaults(self, defaults: dict[str, Any]) -> "Expectation":
        """Return the same expectation with the arguments that its own class sets by itself; its name stays."""
        changed = self.model_copy()
        changed._of_class = defaults
        return changed

    @property
    def columns(self) -> set[str]:
        """The columns that it names."""
        named = {str(self.arguments[name]) for name in ("column", "column_A", "column_B") if name in self.arguments}
        listed = [self.arguments.get(name) for name in ("column_list", "column_set")]
        return named | {str(name) for names in listed if isinstance(names, list | tuple) for name in names}

    def replaces(self, other: "Expectation") -> bool:
        """Return whether it speaks of the same stage, class and column."""
        return (self.stage, self.name) == (other.stage, other.name)


def _is_dotted(name: str) -> bool:
    return "." in name or ":" in name


@cache
def _known_expectations() -> tuple[str, ...]:
    """Names of Great Expectations' own classes, from its file names, since its import costs seconds."""
    package = find_spec("great_expectations")
    if package is None or package.origin is None:
        return ()
    files = (Path(package.origin).parent / "expectations" / "core").glob("expect_*.py")
    return tuple(sorted("".join(part.capitalize() for part in file.stem.split("_")) for file in files))


def never(stage: str, column: str, most: float) -> Expectation:
    """Expect at most that share of rows where a yes-or-no column holds."""
    return Expectation(
        stage=stage,
        expectation="ExpectColumnValuesToBeInSet",
        **{"column": column, "value_set": [False], "mostly": round(1 - most, 6)},
    )


def holds(stage: str, column: str, least: float, severity: Severity = "critical") -> Expectation:
    """Expect at least that share of rows where a yes-or-no column holds."""
    return Expectation(
        stage=stage,
        expectation="ExpectColumnValuesToBeInSet",
        severity=severity,
        **{"column": column, "value_set": [True], "mostly": least},
    )


def rows(stage: str) -> Expectation:
    """There is a row."""
    return Expectation(stage=stage, expectation="ExpectTableRowCountToBeBetween", scope="whole", **{"min_value": 1})


def unique(stage: str, column: str) -> Expectation:
    """Expect that no two rows have the same value."""
    return Expectation(stage=stage, expectation="ExpectColumnValuesToBeUnique", scope="whole", **{"column": column})


def columns_of(expectations: Iterable[Expectation]) -> set[str]:
    """Return the columns that some expectations name."""
    return {column for one in expectations for column in one.columns}
