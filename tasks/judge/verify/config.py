"""What answers are checked against, and by which checker."""

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from kasasagi.blocks.models.kinds import Config
from kasasagi.blocks.own.python import short_name
from kasasagi.tasks.judge.checkers.named import CHECKERS

CheckerName = Annotated[str, CHECKERS]
NEED_TRUTH = ("number", "choice", "text", "regex", "json")


class VerifyConfig(Config):
    """What the answers to a prompt are checked against; no model is asked."""

    truth: str | None = Field(
        None, description="The prompts' column with the right answer, the pattern, the schema or the constraints."
    )
    constraint: str | int | float | dict[str, Any] | list[Any] | None = Field(
        None,
        description="One pattern, schema or set of constraints for all prompts, in place of a column, such as "
        "{words: {at_most: 100}, language: ja}.",
    )
    kind: CheckerName = Field(
        "auto",
        description="What is compared: a number, a choice, a text, a regex, json by a schema, instructions; auto "
        "chooses by each truth, or is the prompt's own instructions without one; or the dotted path of a function "
        "in a Python file beside the recipe.",
    )

    @model_validator(mode="after")
    def _has_something_to_check_against(self) -> Self:
        if self.truth is not None and self.constraint is not None:
            raise ValueError("truth is a column and constraint the same for all prompts; give one of them")
        if self.kind in NEED_TRUTH and self.truth is None and self.constraint is None:
            raise ValueError(f"{self.kind} compares with something; name its column as truth, or give a constraint")
        return self

    @property
    def aspect(self) -> str:
        """The checker's name, as it stands in the column `aspect` of the ratings."""
        return short_name(self.kind)
