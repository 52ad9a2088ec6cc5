"""What a filter is: its rules, its SQL predicates and its deduplication, as the recipe writes them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from kasasagi.blocks.models.kinds import Config
from kasasagi.tasks.filter.rules.registry import RULES, FilterError
from kasasagi.tasks.filter.steps import Step, steps
from kasasagi.tasks.load.config import DatasetSource, Format

__all__ = ["DedupConfig", "FilterConfig", "FilterError", "FilterResult", "Step", "steps"]

CONTAMINATED = "contaminated"
USUAL_LIKENESS = 0.7
OF_DUPLICATES = ("duplicate", "near_duplicate", "published_before", "no_pair_before", CONTAMINATED)
"""The reasons of rows that are like others, which no rule may share."""


class DedupConfig(Config):
    """Which duplicates are quarantined; the earliest row survives."""

    exact: bool = Field(
        default=True,
        description="Quarantine equal texts; letter width, kinds of blanks and line breaks in prose are ignored.",
    )
    near: float | None = Field(
        default=None,
        ge=0.1,
        le=1,
        strict=True,
        description="Quarantine texts from this Jaccard similarity of character n-grams on (after Unicode NFKC, with "
        "whitespace folded); true means 0.7. All earlier turns must be equal.",
    )
    published: bool = Field(
        default=False,
        description="Quarantine prompts that an earlier run of this recipe published, and those for which that run "
        "found no pair, so that a scheduled run uses only new ones.",
    )
    shingle: int = Field(default=3, ge=1, le=32, description="Number of characters in an n-gram of `near`.")

    @field_validator("near", mode="before", json_schema_input_type=float | bool | None)
    @classmethod
    def _true_is_usual(cls, near: Any) -> Any:
        return (USUAL_LIKENESS if near else None) if isinstance(near, bool) else near


class EvaluationSet(Config):
    """One evaluation set: where it is, and which of its columns contain the questions."""

    path: str = Field(min_length=1, description="A file, a folder saved by `datasets`, or a Hub id such as owner/name.")
    columns: tuple[str, ...] = Field(
        min_length=1, description="Columns whose texts are searched for, each text separately; lists are joined."
    )
    format: Format | None = Field(
        default=None, description="Format of the path; needed only if its ending does not show it."
    )
    split: str | None = Field(default=None, description="Split of a saved dataset or a Hub dataset; default: train.")
    name: str | None = Field(default=None, description="Configuration of a Hub dataset that has several.")
    revision: str | None = Field(default=None, description="Branch, tag or commit of a Hub dataset.")

    def source(self) -> DatasetSource:
        """Return the same place as a source of rows."""
        return DatasetSource.model_validate(self.model_dump(exclude={"columns"}))


class ContaminationConfig(Config):
    """Evaluation sets whose items no prompt may repeat."""

    sets: dict[str, EvaluationSet] = Field(
        min_length=1, description="Evaluation sets, by the names that the quarantine shows."
    )
    words: int = Field(default=8, ge=2, le=64, description="Length n of n-grams of words.")
    characters: int = Field(
        default=16,
        ge=2,
        le=128,
        description="Length n of n-grams of characters, for items that are mainly Japanese or Chinese.",
    )
    share: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="Share of n-grams, of the prompt's or the item's, whichever has fewer, from which on a prompt is "
        "quarantined.",
    )


class FilterConfig(Config):
    """Which prompts pass. A rule that does not apply to a row is met; the first broken rule is the reason in the
    quarantine.
    """

    rules: list[str | dict[str, Any]] = Field(
        default_factory=list,
        description=f"Rules in order ({', '.join(RULES)}): a name, {{name: parameter}}, {{name: {{parameter: value}}}}"
        ", {name: false} to drop a default, or the dotted path of a function in a Python file next to the recipe.",
    )
    where: dict[str, str] = Field(
        default_factory=dict,
        description="SQL conditions on a row, by the reason that the quarantine shows for rows that do not meet them.",
    )
    columns: tuple[Literal["politeness"], ...] = Field(
        default=(),
        description="Columns to add before `where` is evaluated: politeness (敬体, 常体, mixed, or null if the text is "
        "not Japanese or has no sentence).",
    )
    contamination: ContaminationConfig | None = Field(
        default=None, description="Evaluation sets whose items no prompt may repeat."
    )
    dedup: DedupConfig = Field(default_factory=DedupConfig, description="Which duplicates are quarantined.")

    @field_validator("rules")
    @classmethod
    def _known_rules(cls, rules: list[str | dict[str, Any]]) -> list[str | dict[str, Any]]:
        steps(rules)
        return rules

    @field_validator("where")
    @classmethod
    def _named_reasons(cls, where: dict[str, str]) -> dict[str, str]:
        for reason, predicate in where.items():
            if not reason.strip() or reason in OF_DUPLICATES:
                raise ValueError(f"where: {reason!r} cannot be a reason of its own: choose another name")
            if not predicate.strip():
                raise ValueError(f"where.{reason}: the predicate is empty: write SQL that a row must satisfy")
        return where


@dataclass(frozen=True, slots=True)
class FilterResult:
    """The account of a filter (rows_in = rows_out + quarantined) and where its two tables lie."""

    rows_in: int
    rows_out: int
    quarantined: int
    prompts: Path
    quarantine: Path
