"""How many turns a dialogue has, which model answers in between, and which one plays the user."""

from typing import Annotated, Any

from pydantic import Field, field_validator

from kasasagi.blocks.configuration import with_default_sampling
from kasasagi.blocks.models.kinds import Config, Sampling
from kasasagi.tasks.pre_query import LiteralTemplate, check_template_name
from kasasagi.tasks.respond.config import DEFAULT_RULES as ANSWER_RULES
from kasasagi.tasks.respond.rules import AnswerRule

TURN_RULES: tuple[str | dict[str, Any], ...] = ("finished", {"min_chars": 2}, "template_leak", "repetition")


SAMPLING = Sampling(max_tokens=1024)


class Answering(Config):
    """Which model answers the user's turns before the last one, and how."""

    model: str | None = Field(
        None, description="Name of the model that answers; default: the model that plays the user."
    )
    system_prompt: str | None = Field(None, description="System prompt of the answers, for dialogues without one.")
    sampling: Annotated[Sampling, with_default_sampling(SAMPLING)] = Field(
        SAMPLING, description="Sampling parameters of the answers."
    )
    rules: tuple[AnswerRule, ...] = Field(
        ANSWER_RULES,
        description="Rules that an answer must pass for the dialogue to continue; for your own rule write its dotted "
        "path.",
    )


def left_out(steer: str | None, kept: bool | None) -> str:
    """Return the part of a steering text that is removed from the user's turn: all of it if it ends with a line break.

    Args:
        steer: The steering text, if any.
        kept: Whether the recipe keeps or removes it; None decides by the line break.
    """
    heading = steer is not None and steer.rstrip(" \t\u3000").endswith("\n")
    return "" if steer is None or kept is True or (kept is None and not heading) else steer


class Turns(Config):
    """Dialogues of several turns: the user's next words are invented from the dialogue so far."""

    count: int = Field(ge=2, le=16, description="Number of user turns of a dialogue; longer dialogues stay unchanged.")
    model: str | None = Field(
        None, description="Name of the model that plays the user; default with Magpie: the source's model."
    )
    template: str | LiteralTemplate | None = Field(
        None,
        description="Its chat template: auto, or the name of a family; default with Magpie: the source's template.",
    )
    steer: str | None = Field(None, description="Text after the user marker of each further turn.")
    steer_kept: bool | None = Field(
        None,
        description="Whether `steer` is part of the turn; by default it is unless it ends with a line break, like "
        '"Topic: tea\\n".',
    )
    sampling: Sampling | None = Field(
        None, description="Sampling parameters of the further turns; default with Magpie: the source's."
    )
    answers: Answering = Field(Answering(), description="Which model answers in between, and how.")
    rules: tuple[str | dict[str, Any], ...] = Field(
        TURN_RULES,
        description="Filter rules that each further turn of the user must pass; personal_data of the filter applies, "
        "too, unless it is named here.",
    )

    @field_validator("template")
    @classmethod
    def _template_exists(cls, value: str | LiteralTemplate | None) -> str | LiteralTemplate | None:
        return check_template_name(value) if isinstance(value, str) else value

    @field_validator("rules")
    @classmethod
    def _rules_are_known(cls, value: tuple[str | dict[str, Any], ...]) -> tuple[str | dict[str, Any], ...]:
        from kasasagi.tasks.filter.steps import steps

        steps(list(value))
        return value
