"""What answers are checked against, and by which checker."""

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from kasasagi.blocks.models.kinds import Config
from kasasagi.blocks.own.python import short_name
from kasasagi.tasks.judge.checkers.named import CHECKERS

CheckerName = Annotated[str, CHECKERS]
NEED_TRUTH = ("number", "choice", "text", "regex", "json", "code")


class VerifyConfig(Config):
    """What the answers to a prompt are checked against, without a model."""

    truth: str | None = Field(
        None, description="Column of the prompts with the right answer, pattern, schema or constraints."
    )
    constraint: str | int | float | dict[str, Any] | list[Any] | None = Field(
        None,
        description="One pattern, schema or set of constraints for all prompts, instead of a column, e.g. {words: "
        "{at_most: 100}, language: ja}.",
    )
    kind: CheckerName = Field(
        "auto",
        description="What is compared: number, choice, text, regex, json (by a schema), instructions, code (by running "
        "its tests), or the dotted path of a function in a Python file next to the recipe. auto chooses by each row's "
        "truth, but never code; without a truth it checks the prompt's own instructions.",
    )
    run_code: bool = Field(
        False, description="For code: allow that the Python in the answers is run on this machine, in a sandbox."
    )

    @model_validator(mode="after")
    def _has_something_to_check_against(self) -> Self:
        if self.truth is not None and self.constraint is not None:
            raise ValueError("truth is a column and constraint the same for all prompts; give one of them")
        if self.kind in NEED_TRUTH and self.truth is None and self.constraint is None:
            raise ValueError(f"{self.kind} compares with something; name its column as truth, or give a constraint")
        if self.run_code and self.kind != "code":
            raise ValueError(f"run_code is for the kind code, and kind is {self.kind}; leave it out")
        if self.kind == "code" and not self.run_code:
            raise ValueError(
                "code runs Python that models wrote, on this machine and in a sandbox; to allow that, read "
                "docs/verifying.md and set run_code: true"
            )
        return self

    @property
    def aspect(self) -> str:
        """The checker's name, as it stands in the column `aspect` of the ratings."""
        return short_name(self.kind)
