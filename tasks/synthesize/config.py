"""What a Magpie source is: which model invents, from which text, how it samples, and how much is wanted."""

from typing import Any, Literal

from pydantic import Field, model_validator

from blocks.models import Config, Sampling

DEFAULT_RULES: tuple[str | dict[str, Any], ...] = ("finished", {"min_chars": 10}, "ends_as_a_sentence")


class MagpieSource(Config):
    """Instructions that a chat model invents (Magpie, arXiv 2406.08464)."""

    kind: Literal["magpie"] = Field(description="Instructions that a model invents.")
    model: str = Field(description="Name of a model of this recipe.")
    template: str = Field(
        "auto", description="What stands before the user's words: auto (the bundled model), or the text."
    )
    steer: str | None = Field(None, description="Text behind the user marker, which the model goes on from.")
    system_prompts: tuple[str, ...] = Field((), description="System prompts, one of which is drawn for each sample.")
    target: int | None = Field(None, ge=1, description="Accepted instructions wanted; a higher target only adds.")
    samples: int | None = Field(None, ge=1, description="Raw samples to draw, in place of a target.")
    round: int = Field(0, ge=0, description="Another round draws afresh.")
    sampling: Sampling = Field(
        Sampling(temperature=1.0, top_p=1.0, max_tokens=1024, stop=("\n\n",)),
        description="Sampling of the instructions.",
    )

    @model_validator(mode="before")
    @classmethod
    def _wants_something(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("target") is None and value.get("samples") is None:
            raise ValueError("name a target (accepted instructions wanted) or samples (raw draws)")
        if isinstance(value, dict) and value.get("target") is not None and value.get("samples") is not None:
            raise ValueError("name a target or samples, not both")
        return value
