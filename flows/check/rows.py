"""The first rows of a dataset as a run would read them: which pass, which do not and why, and the first prompt."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow.parquet as pq

from kasasagi.flows.check.responses import ProvidedCounts, count_provided
from kasasagi.flows.recipe.errors import RecipeError
from kasasagi.flows.recipe.loading import LoadedRecipe
from kasasagi.flows.views.language import say
from kasasagi.tasks.filter import FilterConfig, filter_prompts
from kasasagi.tasks.filter.deferred_conditions import split_where
from kasasagi.tasks.load import DatasetSource, count_answered, load_prompts
from kasasagi.tasks.load.files.locate import locate
from kasasagi.tasks.recipe import Recipe

ROWS = 100
SHOWN_REASONS = 5
DETAIL_CHARS = 120
OF_COLUMNS = ("empty", "missing_column", "wrong_type")
"""Reasons of rows whose prompt may be in another column."""


@dataclass(frozen=True, slots=True)
class Aside:
    """Rows that a stage quarantines for one reason, with the detail of the first of them."""

    stage: str
    reason: str
    rows: int
    detail: str

    def sentence(self, of: int) -> str:
        """Return how many rows of how many are quarantined, and why."""
        shown = self.detail if len(self.detail) <= DETAIL_CHARS else f"{self.detail[:DETAIL_CHARS]}…"
        detail = f": {shown}" if shown else ""
        text = "{rows} of {of} rows are quarantined by {stage} as {reason}"
        return say(text, rows=self.rows, of=of, stage=self.stage, reason=self.reason) + detail


@dataclass(frozen=True, slots=True)
class FirstRows:
    """The first rows of a source: how many were read, are prompts and pass the filter."""

    read: int
    prompts: int
    passed: int
    aside: tuple[Aside, ...]
    example: Mapping[str, Any] | None
    answered: str | None = None
    provided: ProvidedCounts | None = None
    files: str | None = None

    def sentences(self) -> list[str]:
        """Return how many rows pass and why others do not, the most common reasons first."""
        first = say(f"first {self.read} rows: {self.prompts} are prompts, {self.passed} of them pass the filter")
        further = [text for text in (self.files, self.answered) if text]
        further += self.provided.sentences() if self.provided else []
        further += [one.sentence(self.read) for one in self.aside[:SHOWN_REASONS]]
        return [first, *(f"  {text}" for text in further)]


def first_rows(loaded: LoadedRecipe, count: int = ROWS) -> FirstRows | None:
    """Read and filter the first rows of a recipe's source as a run does; None for Magpie and for a Hub id.

    Raises RecipeError where none of them can be a prompt, or has two responses to compare where the source holds
    responses, SourceError where the source cannot be read, FilterError.
    """
    source = loaded.recipe.source
    if not isinstance(source, DatasetSource) or locate(source, loaded.base).format == "hub":
        return None
    with TemporaryDirectory(prefix="kasasagi-check-") as folder:
        found = _read(loaded, source, Path(folder), count)
    if not found.prompts:
        raise RecipeError(_none(source, found))
    if found.provided is not None and not found.provided.comparable:
        raise RecipeError(_incomparable(source, found, found.provided))
    return found


def _read(loaded: LoadedRecipe, source: DatasetSource, into: Path, count: int) -> FirstRows:
    read = load_prompts(source, loaded.base, into / "load", count)
    config = _early_filter(loaded.recipe)
    passed = filter_prompts(config, read.prompts, into / "filter", loaded.base, loaded.recipe.default_rules)
    aside = [*_aside("load", read.quarantine), *_aside("filter", passed.quarantine)]
    example = next(iter(pq.read_table(passed.prompts).slice(0, 1).to_pylist()), None)
    ordered = tuple(sorted(aside, key=lambda one: -one.rows))
    answered = _describe_answers(source, loaded.base, read.rows_in)
    provided, files = None, locate(source, loaded.base).note
    if source.responses is not None:
        provided = count_provided(source, loaded.base, read.prompts, into / "load", read.rows_in)
    return FirstRows(read.rows_in, read.rows_out, passed.rows_out, ordered, example, answered, provided, files)


def _describe_answers(source: DatasetSource, base: Path, read: int) -> str | None:
    """Return how answers at the end of rows are used, if there are any."""
    number = count_answered(source, base, read) if source.responses is None else 0
    becomes = {
        "drop": "is left out; source.last_answer says how else it can be used",
        "keep": "is kept for the turns that follow",
        "as_chosen": "is the chosen response",
    }
    return f"{number} of {read} rows end with an answer, which {becomes[source.last_answer]}" if number else None


def _early_filter(recipe: Recipe) -> FilterConfig:
    """Return the part of the filter that needs nothing but the rows: no later stage's column, no other dataset."""
    where = split_where(recipe.filter.where, [recipe.tag_columns, recipe.neighbor_columns])[0]
    return recipe.filter.model_copy(update={"where": where, "contamination": None})


def _aside(stage: str, quarantine: Path) -> list[Aside]:
    rows = pq.read_table(quarantine, columns=["reason", "detail"]).to_pylist()
    details = {row["reason"]: row["detail"] or "" for row in reversed(rows)}
    return [Aside(stage, reason, number, details[reason]) for reason, number in Counter(map(_reason, rows)).items()]


def _reason(row: Mapping[str, Any]) -> str:
    return str(row["reason"])


def _none(source: DatasetSource, found: FirstRows) -> str:
    """Say why no row of a source can be a prompt."""
    if not found.aside:
        return f"source.path: {source.path!r} contains no rows; add some, or name another file"
    why, mappable = found.aside[0].sentence(found.read), found.aside[0].reason in OF_COLUMNS
    remedy = "; map its columns" if mappable else ""
    return f"source.path: none of the first {found.read} rows of {source.path} can be a prompt: {why}{remedy}"


def _incomparable(source: DatasetSource, found: FirstRows, provided: ProvidedCounts) -> str:
    """Say why no prompt of a source has two responses to compare."""
    why = "; ".join(provided.problems[:1]) or f"they hold {provided.responses} responses"
    return (
        f"source.responses: no prompt of the first {found.read} rows of {source.path} has two responses that can be "
        f"rated: {why}; correct the columns, or the responses in them"
    )
