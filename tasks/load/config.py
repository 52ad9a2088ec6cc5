"""What a dataset source is, what loading it gives, and the error that says why it could not be read."""

import codecs
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from kasasagi.blocks.models.kinds import Config
from kasasagi.blocks.suggestions import remedy
from kasasagi.tasks.converse.config import Turns

Format = Literal["jsonl", "json", "csv", "parquet", "saved", "hub"]
OUR_INPUTS = ("instruction", "messages", "system", "answer")
SOURCE = "source"
"""Who gave the answers that the rows of a source end with, among the responders."""
LastAnswer = Literal["drop", "keep", "as_chosen"]
OUR_COLUMNS = ("prompt_id", "messages", "instruction", "source", "position", "finish_reason", "stop_reason")


class SourceError(ValueError):
    """A source that cannot be read at all: the value, the reason and the remedy in one sentence."""


class ProvidedResponses(Config):
    """Columns of a dataset with responses, so that no model has to respond."""

    chosen: str = Field(default="chosen", description="Column of the preferred response.")
    rejected: str = Field(default="rejected", description="Column of the other response.")
    all: str | None = Field(default=None, description="Column with a list of responses, instead of these two.")
    models: str | None = Field(
        default=None, description="Column with the list of the models that gave these responses."
    )

    def columns(self) -> list[tuple[str, str]]:
        """Return the columns that are read, by our names for them."""
        named = [("models", self.models)] if self.models else []
        sides = [("chosen", self.chosen), ("rejected", self.rejected)]
        return [*(sides if self.all is None else [("all", self.all)]), *named]


class DatasetSource(Config):
    """Prompts read from a dataset; rows that cannot be prompts are quarantined with a reason."""

    kind: Literal["dataset"] = Field(
        default="dataset",
        description="Where prompts come from: `dataset` reads a file, `magpie` lets a model generate them.",
    )
    path: str = Field(
        min_length=1,
        description="A file, a folder of data files or saved by `datasets`, or a Hub id such as owner/name. Paths are "
        "resolved against the recipe's folder first, then the current one.",
    )
    format: Format | None = Field(
        default=None, description="Format of the path; needed only if its ending does not show it."
    )
    encoding: str | None = Field(
        default=None, description="Encoding of a csv, jsonl or json file that is not UTF-8, e.g. cp932."
    )
    delimiter: str | None = Field(
        default=None, min_length=1, max_length=1, description="Delimiter of a csv file; default: a comma."
    )
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="Your column names, by ours: instruction or messages, system, answer. Without instruction and "
        "messages, the first existing column of messages, conversations and instruction (with input) is "
        "used; with `responses`, prompt comes first.",
    )
    keep: list[str] = Field(
        default_factory=list, description="Further columns to keep in every table and in the dataset."
    )
    split: str | None = Field(
        default=None,
        description="Split of a folder or a Hub dataset, or a part of it, e.g. train[:100]; default: train.",
    )
    name: str | None = Field(
        default=None,
        description="Configuration of a dataset that has several: of a Hub dataset, of a folder's README, or a "
        "subfolder.",
    )
    revision: str | None = Field(default=None, description="Branch, tag or commit of a Hub dataset.")
    streaming: bool = Field(default=False, description="Read a Hub dataset row by row instead of downloading it first.")
    limit: Annotated[int, Field(ge=1)] | None = Field(default=None, description="Maximum number of rows to read.")
    turns: Turns | None = Field(
        default=None, description="Extend prompts to dialogues with this number of user turns: {count: …, model: …}."
    )
    last_answer: LastAnswer = Field(
        default="drop",
        description="How to use an answer at the end of a row (its last message or its column output): drop removes "
        "it, keep continues the dialogue from it, as_chosen makes it the chosen response of the model "
        "`source`.",
    )
    responses: ProvidedResponses | None = Field(
        default=None, description="Columns with responses, which are rated instead of new ones."
    )

    @field_validator("encoding")
    @classmethod
    def _encoding_exists(cls, encoding: str | None) -> str | None:
        try:
            b"a".decode(encoding or "utf-8", "replace")
            return encoding and codecs.lookup(encoding).name
        except (LookupError, UnicodeError) as error:
            raise ValueError(
                f"encoding: {encoding!r} is not an encoding of texts that Python knows; try utf-8 or cp932"
            ) from error

    @field_validator("columns")
    @classmethod
    def _known_inputs(cls, columns: dict[str, str]) -> dict[str, str]:
        for ours in columns:
            if ours not in OUR_INPUTS:
                raise ValueError(f"columns: {ours!r} is not one of our column names; {remedy(ours, OUR_INPUTS)}")
        if "instruction" in columns and "messages" in columns:
            raise ValueError("columns: instruction and messages are both mapped, but a prompt is one of them: drop one")
        return columns

    @model_validator(mode="after")
    def _answers_are_to_these_prompts(self) -> Self:
        if self.turns is not None and self.responses is not None:
            raise ValueError("responses answer the prompts as they are, and turns would make them longer: drop one")
        return self

    @model_validator(mode="after")
    def _last_answer_has_a_use(self) -> Self:
        if self.last_answer != "drop" and self.responses is not None:
            raise ValueError(f"last_answer: {self.last_answer} is for prompts without responses: drop one of the two")
        if self.last_answer == "keep" and self.turns is None:
            raise ValueError("last_answer: keep is for dialogues that continue from the answer: add turns, or drop it")
        if self.last_answer == "as_chosen" and self.turns is not None:
            raise ValueError("last_answer: as_chosen answers the prompt as it is, and turns make it longer: drop one")
        if self.last_answer == "drop" and "answer" in self.columns:
            raise ValueError(
                "columns.answer: no answer is read: add last_answer: as_chosen or keep, or drop the column"
            )
        return self

    @model_validator(mode="after")
    def _keep_is_free(self) -> Self:
        taken = {name.casefold(): "one of our own columns" for name in OUR_COLUMNS}
        for name in self.keep:
            if reason := taken.get(name.casefold()):
                raise ValueError(f"keep: {name!r} is {reason}, so it cannot be carried under its name: rename it there")
            taken[name.casefold()] = "kept already (capitals do not count)"
        return self


@dataclass(frozen=True, slots=True)
class LoadResult:
    """The account of a load (rows_in = rows_out + quarantined) and where its two tables lie."""

    rows_in: int
    rows_out: int
    quarantined: int
    prompts: Path
    quarantine: Path
