"""What a Magpie source is: which model invents, from which text, how it samples, and how much is wanted."""

import time
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal

import pyarrow as pa
from pydantic import Field, field_validator, model_validator

from kasasagi.blocks.configuration import with_default_sampling
from kasasagi.blocks.models.kinds import Config, Sampling
from kasasagi.tasks.converse.config import Turns
from kasasagi.tasks.pre_query import LiteralTemplate, check_template_name

SAMPLING = Sampling(temperature=1.0, top_p=1.0, max_tokens=1024, stop=("\n\n",))
DEFAULT_RULES: tuple[str | dict[str, Any], ...] = (
    "finished",
    {"min_chars": 10},
    "ends_as_a_sentence",
    "template_leak",
)
DAY_SECONDS = 86_400
Language = Literal["en", "ja"]
Weight = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def round_of_the_day() -> int:
    """Return the number of the day (UTC) since 1970, as a round."""
    return int(time.time() // DAY_SECONDS)


class SystemPrompt(Config):
    """A system prompt that steers some of the draws."""

    text: str | None = Field(description="The system prompt; null draws without one.")
    weight: Weight = Field(1.0, description="Relative frequency of its draws.")


class PackUse(Config):
    """A pack of system prompts and beginnings that steers some of the draws."""

    name: str = Field(min_length=1, description="A pack that ships with kasasagi, or a YAML file next to the recipe.")
    weight: Weight = Field(1.0, description="Relative frequency of its draws.")


class PersonasUse(Config):
    """Personas whose instructions the model generates, one for each draw."""

    path: str = Field(min_length=1, description="A file next to the recipe: jsonl, or text with one person a line.")
    column: str = Field("persona", min_length=1, description="The column of a jsonl file that describes the person.")
    language_column: str = Field(
        "language", description="The column with the language of the description, if there is one."
    )


class Grid(Config):
    """Sampling parameters that vary from draw to draw; every combination is drawn equally often."""

    temperature: tuple[Annotated[float, Field(ge=0, le=2)], ...] = Field((), description="Temperatures to use.")
    top_p: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field((), description="Values of top_p to use.")

    @model_validator(mode="after")
    def _has_some(self) -> "Grid":
        if not self.temperature and not self.top_p:
            raise ValueError("a grid without values: give some, as in {temperature: [0.8, 1.0], top_p: [0.9, 1.0]}")
        return self

    def cells(self) -> list[dict[str, float]]:
        """Return every combination, by the names of the parameters."""
        hot = [{"temperature": value} for value in self.temperature] or [{}]
        nuclei = [{"top_p": value} for value in self.top_p] or [{}]
        return [one | other for one in hot for other in nuclei]


class MagpieSource(Config):
    """Instructions that a chat model generates (Magpie, arXiv 2406.08464)."""

    kind: Literal["magpie"] = Field(
        description="Where prompts come from: `dataset` reads a file, `magpie` lets a model generate them."
    )
    model: str = Field(description="Name of a model of this recipe.")
    template: str | LiteralTemplate = Field(
        "auto",
        description="The text before the user's words: auto (from the model's own chat template), the name of a "
        "family, or the text itself, in which {system} is the place of a system prompt.",
    )
    steer: str | None = Field(None, description="Text after the user marker, which the model continues.")
    steer_kept: bool | None = Field(
        None,
        description="Whether `steer` is part of the instruction; by default it is unless it ends with a line break, "
        'like "Topic: tea\\n".',
    )
    system_prompts: tuple[str | SystemPrompt, ...] = Field(
        (), description="System prompts, one of which is drawn for each sample; {text: …, weight: …} sets a weight."
    )
    packs: tuple[str | PackUse, ...] = Field(
        (),
        description="Packs for a field, drawn among the system prompts: mathematics, code, translation, reasoning, "
        "everyday, or your own YAML file.",
    )
    packs_as: Literal["system", "start"] = Field(
        "system", description="Whether a pack provides system prompts or beginnings of the user's text."
    )
    languages: dict[Language, Weight] = Field(
        {}, description="Languages of the instructions, with equal weights or others: [en, ja] or {en: 2, ja: 1}."
    )
    personas: PersonasUse | None = Field(None, description="Personas from a file; one is drawn for each sample.")
    target: int | None = Field(
        None, ge=1, description="Number of accepted instructions; a higher number only adds rows."
    )
    samples: int | None = Field(None, ge=1, description="Number of raw draws, instead of a target.")
    min_yield: float = Field(
        0.02, ge=0, le=1, description="Share of the draws that must be accepted; below it the run stops."
    )
    round: int = Field(
        0, ge=0, description="A new number makes new draws; daily does so every day (UTC), for scheduled runs."
    )
    sampling: Annotated[Sampling, with_default_sampling(SAMPLING)] = Field(
        SAMPLING, description="Sampling parameters of the instructions."
    )
    turns: Annotated[int, Field(ge=1, le=16)] | Turns = Field(
        1, description="Number of user turns in each dialogue, or {count: …} with the model that answers in between."
    )
    multi_line: bool = Field(
        False,
        description="Whether an instruction may have several lines, such as a table or a passage: line breaks do not "
        "end it, and it need not end as a sentence.",
    )
    grid: Grid | None = Field(
        None, description="Sampling parameters that vary between draws; each row records its own."
    )

    @property
    def template_text(self) -> str:
        """The template as it is written down with a draw."""
        return self.template if isinstance(self.template, str) else self.template.literal

    @field_validator("round", mode="before", json_schema_input_type=int | Literal["daily"])
    @classmethod
    def _is_of_the_day(cls, value: object) -> object:
        # The number of the day stands in the recipe that a run keeps, so that it can be repeated on another day.
        return round_of_the_day() if value == "daily" else value

    @field_validator("template")
    @classmethod
    def _template_exists(cls, value: str | LiteralTemplate) -> str | LiteralTemplate:
        return check_template_name(value) if isinstance(value, str) else value

    @model_validator(mode="before")
    @classmethod
    def _has_no_line_stops_by_default(cls, value: Any) -> Any:
        sampling = value.get("sampling") if isinstance(value, dict) and value.get("multi_line") else None
        if isinstance(sampling, dict) and "stop" not in sampling:
            return {**value, "sampling": {**sampling, "stop": None}}
        return value

    @model_validator(mode="before")
    @classmethod
    def _wants_something(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("target") is None and value.get("samples") is None:
            raise ValueError("name a target (accepted instructions wanted) or samples (raw draws)")
        if isinstance(value, dict) and value.get("target") is not None and value.get("samples") is not None:
            raise ValueError("name a target or samples, not both")
        return value

    @field_validator("languages", mode="before", json_schema_input_type=dict[Language, Weight] | list[Language])
    @classmethod
    def _names_weigh_one(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {value: 1.0}
        return dict.fromkeys(value, 1.0) if isinstance(value, list | tuple) else value

    @model_validator(mode="after")
    def _packs_have_a_language(self) -> "MagpieSource":
        if self.packs and not self.languages:
            raise ValueError("packs are written in several languages: say which with languages, as in languages: [en]")
        return self

    @model_validator(mode="after")
    def _lines_are_not_stops(self) -> "MagpieSource":
        stops = self.sampling.stop if "sampling" in self.model_fields_set else ()
        later = self.turns.sampling.stop if isinstance(self.turns, Turns) and self.turns.sampling else ()
        for place, listed in (("sampling.stop", stops), ("turns.sampling.stop", later)):
            if self.multi_line and any(not stop.strip() for stop in listed or ()):
                raise ValueError(
                    f"multi_line takes several lines, and a line break in {place} would end them: remove it"
                )
        return self

    @property
    def default_rules(self) -> tuple[str | dict[str, Any], ...]:
        """Filter rules that hold unless the recipe drops them; a table or a passage need not end as a sentence."""
        return tuple(rule for rule in DEFAULT_RULES if not self.multi_line or rule != "ends_as_a_sentence")

    @cached_property
    def columns(self) -> Mapping[str, pa.DataType]:
        """The columns by which each draw and each prompt says how it was steered and sampled."""
        there = {"pack": self.packs, "wanted_language": self.languages, "persona": self.personas}
        columns = {name: pa.string() for name, used in there.items() if used}
        return columns | (dict.fromkeys(("temperature", "top_p"), pa.float64()) if self.grid else {})
