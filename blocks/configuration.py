"""What every configuration is made of: frozen models, sampling parameters and prices."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
)


class Config(BaseModel):
    """Base of all configuration: frozen, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    def keyed(self, exclude: AbstractSet[str] = frozenset()) -> dict[str, Any]:
        """Return what belongs to a cache key: what differs from the defaults, so that a new field changes no key.

        A changed default needs a new version of the stages that use it.
        """
        return self.model_dump(mode="json", exclude_defaults=True, exclude=set(exclude))


class Sampling(Config):
    """Sampling parameters by their OpenAI names; parameters that are not set are not sent."""

    temperature: float | None = Field(
        None, ge=0, le=2, description="Randomness; 0 always chooses the most likely token."
    )
    top_p: float | None = Field(
        None, gt=0, le=1, description="Sample from the most likely tokens that have this share of the probability."
    )
    top_k: int | None = Field(
        None, ge=-1, description="Sample from this number of most likely tokens (vLLM and others)."
    )
    min_p: float | None = Field(
        None, ge=0, le=1, description="Minimum probability relative to the most likely token (vLLM)."
    )
    max_tokens: int | None = Field(
        None,
        ge=1,
        description="Maximum number of tokens in an answer; a higher value repeats only answers that were cut off.",
    )
    stop: tuple[str, ...] | None = Field(None, description="Texts that end an answer.")
    presence_penalty: float | None = Field(None, ge=-2, le=2, description="Penalty for tokens that have occurred.")
    frequency_penalty: float | None = Field(
        None, ge=-2, le=2, description="Penalty for tokens in proportion to their count."
    )
    repetition_penalty: float | None = Field(None, gt=0, description="Factor against repetition (vLLM, hina).")
    seed: int | None = Field(
        None, description="Seed; none is sent by default, because it gives equal prompts equal answers."
    )

    def parameters(self) -> dict[str, Any]:
        """Return the parameters that are set, as they stand in a request."""
        return {name: value for name, value in self.model_dump().items() if value is not None}

    @model_serializer(mode="wrap")
    def _serialize_removed(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Return the written keys; a null among them removes the stage's default."""
        taken_away = {name: None for name in self.model_fields_set if getattr(self, name) is None}
        return {**dump(self), **taken_away}

    def over(self, base: "Sampling") -> "Sampling":
        """Return these parameters laid over some others: what is set here wins."""
        return base.model_copy(update=self.parameters())


def with_default_sampling(default: Sampling) -> BeforeValidator:
    """Return the validator of a stage's sampling: what a recipe says is laid over the stage's defaults.

    An explicit null takes a default away, so that nothing is sent.
    """

    def with_defaults(value: Any) -> Any:
        return {**default.parameters(), **value} if isinstance(value, Mapping) else value

    return BeforeValidator(with_defaults, json_schema_input_type=Sampling)


class Price(Config):
    """Price of a million tokens in US dollars."""

    input: float = Field(0.0, ge=0, description="Dollars for a million prompt tokens.")
    output: float = Field(0.0, ge=0, description="Dollars for a million completion tokens.")

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Return the price of one call in dollars."""
        return (prompt_tokens * self.input + completion_tokens * self.output) / 1e6


class Budget(Config):
    """Limits on the spending of one run."""

    usd: float | None = Field(None, gt=0, description="Limit in US dollars, by the models' prices.")
    tokens: int | None = Field(None, ge=1, description="Limit on the tokens of prompts and answers.")
    calls: int | None = Field(None, ge=1, description="Limit on answered calls; answers from the ledger do not count.")
    block: str | None = Field(
        None,
        description="Name of a budget saved in Prefect (kasasagi-budget); keys that are set here take precedence.",
    )


class ThinkingMarks(Config):
    """The texts that one model writes around its thinking."""

    begin: str = Field(min_length=1, description="Text that begins the thinking, such as <plan>.")
    end: str = Field(min_length=1, description="Text that ends it, such as </plan>.")


Thinking = Annotated[
    tuple[ThinkingMarks, ...],
    Field(
        description="Marks of the model's thinking, if they are neither known nor in its chat template: [{begin: "
        "<plan>, end: </plan>}]."
    ),
]
