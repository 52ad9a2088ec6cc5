"""How many turns a dialogue shall have, who answers between them, and who invents the user's next words."""

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
    """Who answers the user's turns before the last one."""

    model: str | None = Field(None, description="Name of the model that answers; else the one that invents.")
    system_prompt: str | None = Field(None, description="System prompt of the answers, where a dialogue has none.")
    sampling: Annotated[Sampling, with_default_sampling(SAMPLING)] = Field(
        SAMPLING, description="Sampling of the answers."
    )
    rules: tuple[AnswerRule, ...] = Field(
        ANSWER_RULES,
        description="Rules that an answer must keep for the dialogue to continue; one of your own is a dotted path.",
    )


def left_out(steer: str | None, kept: bool | None) -> str:
    """Return what of a steering text is no part of what the user says: a line of its own is a heading, unless kept."""
    heading = steer is not None and steer.rstrip(" \t\u3000").endswith("\n")
    return "" if steer is None or kept is True or (kept is None and not heading) else steer


class Turns(Config):
    """Dialogues of several turns: the user's next words are invented from the dialogue so far."""

    count: int = Field(ge=2, le=16, description="User turns that a dialogue shall have; longer ones stay as they are.")
    model: str | None = Field(None, description="Name of the model that plays the user; with Magpie the source's own.")
    template: str | LiteralTemplate | None = Field(
        None, description="Its chat template: auto, or a family's name; with Magpie the source's own."
    )
    steer: str | None = Field(None, description="Text behind the user marker of each further turn.")
    steer_kept: bool | None = Field(
        None,
        description="Whether `steer` is part of the turn; if not set, it is unless it ends with a line break, "
        'as "Topic: tea\\n" does.',
    )
    sampling: Sampling | None = Field(None, description="Sampling of the further turns; with Magpie the source's own.")
    answers: Answering = Field(Answering(), description="Who answers in between.")
    rules: tuple[str | dict[str, Any], ...] = Field(
        TURN_RULES,
        description="Filter rules that each further turn of the user must keep; the filter's own "
        "personal_data too, unless it is named here.",
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
