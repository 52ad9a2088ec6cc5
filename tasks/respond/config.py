"""Who responds, how often, and which answers are judged."""

from collections import Counter
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from kasasagi.blocks.models.kinds import Config, Sampling
from kasasagi.tasks.respond.rules import AnswerRule

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


class RespondConfig(Config):
    """Which models respond, how often, and which answers are judged."""

    models: tuple[Responder, ...] = Field(min_length=1, description="Models that respond.")
    samples: int = Field(1, ge=1, description="Number of answers from each model to each prompt.")
    system_prompt: str | None = Field(None, description="System prompt, for prompts without one.")
    template: str = Field(
        PLAIN_TEMPLATE, description="Jinja template for the last user turn; text from data is never used as a template."
    )
    sampling: Sampling = Field(Sampling(), description="Sampling parameters; they override those of the models.")
    rules: tuple[AnswerRule, ...] = Field(
        DEFAULT_RULES,
        description="Rules that an answer must pass before it is judged; for your own rule write the dotted path of a "
        "function in a Python file next to the recipe.",
    )

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

    @model_validator(mode="after")
    def _labels_differ(self) -> "RespondConfig":
        for name, count in Counter(model.name for model in self.models).items():
            if count > 1:
                raise ValueError(f"{name!r} responds {count} times; give each of them a label of its own")
        return self
