"""What an answer's form must meet: from a column, from the recipe, or recognised in the prompt."""

from typing import Annotated, Any, Literal, Self

import orjson
from pydantic import BeforeValidator, Field, model_validator

from kasasagi.blocks.models.kinds import Config


class Bounds(Config):
    """How many there must be."""

    at_least: int | None = Field(None, ge=0, description="Fewest.")
    at_most: int | None = Field(None, ge=0, description="Most.")

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        if self.at_least is None and self.at_most is None:
            raise ValueError("give at_least, at_most or both")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(f"no count is at least {self.at_least} and at most {self.at_most}")
        return self


def _exactly(value: Any) -> Any:
    return {"at_least": value, "at_most": value} if isinstance(value, int) and not isinstance(value, bool) else value


def _several(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Count = Annotated[Bounds | None, BeforeValidator(_exactly)]
Texts = Annotated[tuple[str, ...], BeforeValidator(_several)]
Form = Literal["json", "quoted", "title", "no_commas"]


class Constraints(Config):
    """What an answer must meet; what is left out asks nothing."""

    words: Count = Field(None, description="Words, of English; a number means exactly that many.")
    sentences: Count = Field(None, description="Sentences.")
    paragraphs: Count = Field(None, description="Paragraphs.")
    characters: Count = Field(None, description="Characters.")
    bullets: Count = Field(None, description="Bullet points.")
    language: Literal["en", "ja"] | None = Field(None, description="Language of the answer.")
    case: Literal["lower", "upper"] | None = Field(None, description="Case of all letters.")
    required: Texts = Field((), description="Words or phrases that must be there.")
    forbidden: Texts = Field((), description="Words or phrases that must not be there.")
    starts_with: str | None = Field(None, description="How the answer begins.")
    ends_with: str | None = Field(None, description="How the answer ends.")
    formats: tuple[Form, ...] = Field((), description="Forms: json, quoted, title (<<…>>), no_commas.")

    @property
    def is_empty(self) -> bool:
        """Whether nothing is asked."""
        return self == Constraints()


def read_constraints(value: Any) -> Constraints:
    """Return the constraints of a column or a recipe.

    Raises:
        ValueError: For what is none.
    """
    if isinstance(value, str):
        value = orjson.loads(value)
    return Constraints.model_validate(value)
