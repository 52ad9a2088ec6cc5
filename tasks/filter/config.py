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
        description="Equal texts; letter width, kinds of blanks and the wrapping of prose are ignored.",
    )
    near: float | None = Field(
        default=None,
        ge=0.1,
        le=1,
        strict=True,
        description="Texts as alike as this or more: the Jaccard similarity of their character n-grams, by Unicode "
        "NFKC and with whitespace folded; true is 0.7. All earlier turns must be equal.",
    )
    published: bool = Field(
        default=False,
        description="What an earlier run of this recipe published, and what it found no pair for when it "
        "published: a scheduled run then takes only what is new.",
    )
    shingle: int = Field(default=3, ge=1, le=32, description="How many characters an n-gram of `near` has.")

    @field_validator("near", mode="before", json_schema_input_type=float | bool | None)
    @classmethod
    def _true_is_usual(cls, near: Any) -> Any:
        return (USUAL_LIKENESS if near else None) if isinstance(near, bool) else near


class EvaluationSet(Config):
    """One evaluation set: where it lies, and which of its columns hold what a model is asked."""

    path: str = Field(min_length=1, description="A file, a folder saved by `datasets`, or a Hub id such as owner/name.")
    columns: tuple[str, ...] = Field(
        min_length=1, description="Columns whose texts are looked for, each text on its own; lists are joined."
    )
    format: Format | None = Field(default=None, description="What the path is, where its ending does not tell.")
    split: str | None = Field(default=None, description="The split of a saved dataset or a Hub id; train by default.")
    name: str | None = Field(default=None, description="The configuration of a Hub dataset that has several.")
    revision: str | None = Field(default=None, description="Branch, tag or commit of a Hub dataset.")

    def source(self) -> DatasetSource:
        """The same place as a source of rows."""
        return DatasetSource.model_validate(self.model_dump(exclude={"columns"}))


class ContaminationConfig(Config):
    """Evaluation sets whose items no prompt may repeat."""

    sets: dict[str, EvaluationSet] = Field(min_length=1, description="Evaluation sets by the names that reasons show.")
    words: int = Field(default=8, ge=2, le=64, description="n of the n-grams of words.")
    characters: int = Field(
        default=16, ge=2, le=128, description="n of the n-grams of items that are mainly Japanese or Chinese signs."
    )
    share: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="A prompt goes if it shares this much of its n-grams, or of the item's, whichever has fewer.",
    )


class FilterConfig(Config):
    """Which prompts survive. A rule that does not apply to a row holds; the first that a row breaks is its reason."""

    rules: list[str | dict[str, Any]] = Field(
        default_factory=list,
        description=f"Rules in order ({', '.join(RULES)}): a name, {{name: parameter}}, {{name: {{parameter: value}}}}"
        ", {name: false} to drop a default, or the dotted path of a function in a Python file beside the recipe.",
    )
    where: dict[str, str] = Field(
        default_factory=dict, description="A reason, and the SQL predicate on one row that it must satisfy."
    )
    columns: tuple[Literal["politeness"], ...] = Field(
        default=(),
        description="Columns to add before `where` is asked: politeness (敬体, 常体, mixed, or null where the text is "
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
