"""Who responds, how often, and which answers are judged."""

from collections import Counter
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from kasasagi.blocks.models.kinds import Config, Sampling
from kasasagi.tasks.respond.rules import ALL_RULES, AnswerRule

PLAIN_TEMPLATE = "{{ instruction }}"
DEFAULT_RULES = (
    "finished",
    "not_empty",
    "no_template_leak",
    "decoded",
    "no_refusal",
    "same_language",
    "no_repetition",
)

EQUAL_ANSWER = "equal_answer"
FAR_FROM_MEDIAN = "far_from_median"
OWN_REASONS = (EQUAL_ANSWER, FAR_FROM_MEDIAN, *(rule.reason for rule in ALL_RULES.values()))
"""The reasons that no condition of a recipe may share."""


class Responder(Config):
    """One model as a responder, with settings that override the stage's."""

    use: str = Field(description="Name of a model of this recipe.")
    label: str | None = Field(None, description="Name in the tables; needed if one model responds twice.")
    sampling: Sampling = Field(Sampling(), description="Sampling parameters; they override those of the stage.")
    system_prompt: str | None = Field(None, description="System prompt instead of the stage's.")
    samples: int | None = Field(None, ge=1, description="Number of answers to each prompt, instead of the stage's.")

    @property
    def name(self) -> str:
        """The name in the tables."""
        return self.label or self.use


class WithinMedian(Config):
    """A rule on the length of an answer next to that of the other answers to its prompt."""

    within_median: float = Field(
        gt=1,
        allow_inf_nan=False,
        description="How many times as long as the median of all answers to its prompt an answer may be, in "
        "characters, and how many times as short; fewer than three answers pass.",
    )


class RespondConfig(Config):
    """Which models respond, how often, and which answers are judged."""

    models: tuple[Responder, ...] = Field(min_length=1, description="Models that respond.")
    samples: int = Field(1, ge=1, description="Number of answers from each model to each prompt.")
    system_prompt: str | None = Field(None, description="System prompt, for prompts without one.")
    template: str = Field(
        PLAIN_TEMPLATE, description="Jinja template for the last user turn; text from data is never used as a template."
    )
    sampling: Sampling = Field(Sampling(), description="Sampling parameters; they override those of the models.")
    rules: tuple[AnswerRule | WithinMedian, ...] = Field(
        DEFAULT_RULES,
        description="Rules that an answer must pass before it is judged; for your own rule write the dotted path of a "
        "function in a Python file next to the recipe.",
    )
    where: dict[str, str] = Field(
        default_factory=dict,
        description="SQL conditions on an answer that passed the rules, with the columns of its prompt, by the reason "
        "that the quarantine shows for answers that do not meet them.",
    )

    @property
    def rule_names(self) -> tuple[str, ...]:
        """The rules that look at one answer alone."""
        return tuple(rule for rule in self.rules if isinstance(rule, str))

    @property
    def within_median(self) -> float | None:
        """How far from the median of its prompt's answers the length of an answer may be, as a factor."""
        return min((rule.within_median for rule in self.rules if isinstance(rule, WithinMedian)), default=None)

    @property
    def answers(self) -> int:
        """How many answers each prompt gets, of all models together."""
        return sum(responder.samples or self.samples for responder in self.models)

    def system_of(self, responder: Responder) -> str | None:
        """Return the system prompt of a responder: its own, even an empty one, else the stage's."""
        return self.system_prompt if responder.system_prompt is None else responder.system_prompt

    @field_validator(
        "models", mode="before", json_schema_input_type=Annotated[tuple[Responder | str, ...], Field(min_length=1)]
    )
    @classmethod
    def _names_are_responders(cls, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return tuple({"use": entry} if isinstance(entry, str) else entry for entry in value)
        return value

    @field_validator("where")
    @classmethod
    def _named_reasons(cls, where: dict[str, str]) -> dict[str, str]:
        for reason, predicate in where.items():
            if not reason.strip() or reason in OWN_REASONS:
                raise ValueError(f"where: {reason!r} cannot be a reason of its own; choose another name")
            if not predicate.strip():
                raise ValueError(f"where.{reason}: the condition is empty; write SQL that an answer must satisfy")
        return where

    @model_validator(mode="after")
    def _labels_differ(self) -> "RespondConfig":
        for name, count in Counter(model.name for model in self.models).items():
            if count > 1:
                raise ValueError(f"{name!r} responds {count} times; give each of them a label of its own")
        return self
