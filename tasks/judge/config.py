"""How the judges are asked."""

import time
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from kasasagi.blocks.configuration import with_default_sampling
from kasasagi.blocks.models.kinds import Config, Sampling
from kasasagi.blocks.own.python import is_own, short_name
from kasasagi.tasks.judge.checklist.config import Item, item_of
from kasasagi.tasks.judge.named import METHODS
from kasasagi.tasks.judge.verify.config import VerifyConfig

MethodName = Annotated[str, METHODS]
Aspect = Literal["overall-rating", "helpfulness", "honesty", "instruction-following", "truthfulness"]
ORDERINGS = ("first", "swapped")
VERIFY = "verify"
"""The way of judging that asks no model, and the name of its judge in the ratings."""
CHECKLIST = "checklist"
"""The way of judging by items with yes or no, and its aspect in the ratings."""
WEEK_SECONDS = 7 * 86_400
FIRST_MONDAY = 4 * 86_400
"""Seconds from the start of 1970, a Thursday, to its first Monday."""


def round_of_the_week() -> int:
    """Return the number of the week (from Monday, UTC) since 1970, as a round."""
    return int((time.time() - FIRST_MONDAY) // WEEK_SECONDS) + 1


SAMPLING = Sampling(temperature=0.0, max_tokens=1024)


@dataclass(frozen=True, slots=True)
class Vote:
    """One judge's vote: its name in the ratings, the model that is asked, and which of that model's samples it is."""

    name: str
    use: str
    draw: int


class Rubric(Config):
    """The text of a rubric, its scale, and whether all responses are rated side by side."""

    text: str | None = Field(
        None, description="The rubric: a Jinja template that may use the prompt's columns as data."
    )
    file: str | None = Field(None, description="A file with the rubric next to the recipe, instead of the text.")
    lowest: int = Field(1, ge=0, le=100, description="Lowest rating.")
    highest: int = Field(5, ge=1, le=100, description="Highest rating.")
    halves: bool = Field(False, description="Whether halves such as 4.5 are allowed.")
    together: bool = Field(
        True, description="Whether all responses are rated side by side; false rates each alone, without an order."
    )
    name: str = Field("rubric", min_length=1, description="The aspect's name in the ratings.")

    @model_validator(mode="after")
    def _is_one_text_and_a_scale(self) -> Self:
        if (self.text is None) == (self.file is None):
            raise ValueError("a rubric is either a text or a file; give one of them")
        if self.lowest >= self.highest:
            raise ValueError(f"the scale from {self.lowest} to {self.highest} has no two steps; raise highest")
        return self

    @property
    def steps(self) -> list[int | float]:
        """All ratings of the scale."""
        whole: list[int | float] = list(range(self.lowest, self.highest + 1))
        return sorted([*whole, *(step + 0.5 for step in whole[:-1])]) if self.halves else whole


class PromptTemplate(Config):
    """A judge prompt that replaces ours; the form of the reply is added after it."""

    text: str | None = Field(
        None,
        description="The prompt: a Jinja template with {{ instruction }}, {{ responses }}, {{ count }}, {{ aspect }}, "
        "{{ rubric }} and the prompt's columns.",
    )
    file: str | None = Field(None, description="A file with the prompt next to the recipe, instead of the text.")

    @model_validator(mode="after")
    def _is_one_text(self) -> Self:
        if (self.text is None) == (self.file is None):
            raise ValueError("a judge prompt is either a text or a file; give one of them")
        return self


class JudgeConfig(Config):
    """Which models judge, how often, which aspects, and in which orders the texts are shown."""

    model: str | None = Field(None, description="Name of the model that judges.")
    models: tuple[str, ...] = Field((), description="Names of several models that judge, instead of `model`.")
    samples: int = Field(1, ge=1, description="Number of verdicts of each judge; several need a temperature above 0.")
    method: MethodName = Field(
        "ultrafeedback",
        description="How to judge: ultrafeedback (ratings by aspects), pairwise (the better of two), rubric (your "
        "own), checklist (yes or no to items), reward (a reward model's number), verify (check answers without a "
        "model), or the dotted path of a class in a Python file next to the recipe.",
    )
    items: str | tuple[Annotated[Item, BeforeValidator(item_of)], ...] | None = Field(
        None,
        description="For checklist: column of the prompts with each prompt's items (texts, or mappings as here), or "
        "one list of items for all prompts. Default: a model writes them, once for each prompt.",
    )
    items_by: str | None = Field(
        None, description="For checklist: name of the model that writes the items; default: the first judge."
    )
    verify: VerifyConfig | None = Field(
        None,
        description="What answers are checked against, e.g. {truth: answer, kind: number}: alone with the method "
        "verify; with another method the judges rank the correct answers of prompts that also have an incorrect one.",
    )
    rubric: Rubric | None = Field(None, description="The rubric of the method rubric.")
    prompt: PromptTemplate | None = Field(
        None, description="Your own judge prompt instead of ours, for every method except reward."
    )
    matches: int | None = Field(
        None, ge=1, description="For pairwise: maximum number of comparisons for a prompt; default: all."
    )
    output: Literal["sections", "json"] = Field(
        "sections",
        description="Form of the reply: labelled lines, or JSON by a schema if the endpoint supports it "
        "(response_format).",
    )
    read: Literal["text", "distribution"] = Field(
        "text",
        description="What a rating is: the number in the reply (text), or the mean of the numbers that the judge could "
        "have written there, by their probabilities (distribution; ties become rare). A server without log "
        "probabilities has its numbers read from the text.",
    )
    aspects: tuple[Aspect, ...] = Field(
        ("overall-rating",), min_length=1, description="Aspects to rate, with one call for each."
    )
    together: bool = Field(
        False,
        description="Rate all aspects in one call instead of one for each; sampling.max_tokens must allow for all.",
    )
    orders: Literal["random", "both", "confirm"] = Field(
        "both",
        description="Orders in which a judge sees the responses: random (one, drawn from the prompt's digest), both, "
        "or confirm (the swapped order only if the first one leaves the margin that a pair needs).",
    )
    language: Literal["auto", "en", "ja"] = Field("auto", description="Language of the judge's prompt.")
    round: int = Field(
        0,
        ge=0,
        description="A new number asks the judges again, although the ledger has their verdicts; weekly does so once "
        "a week (UTC), for scheduled audits.",
    )
    repairs: int = Field(
        1, ge=0, le=1, description="How often an unreadable reply is requested again, with the problem named."
    )
    sampling: Annotated[Sampling, with_default_sampling(SAMPLING)] = Field(
        SAMPLING, description="Sampling parameters of the judge."
    )

    @field_validator("round", mode="before", json_schema_input_type=int | Literal["weekly"])
    @classmethod
    def _is_of_the_week(cls, value: object) -> object:
        # The number of the week stands in the recipe that a run keeps, so that it can be repeated in another week.
        return round_of_the_week() if value == "weekly" else value

    @model_validator(mode="after")
    def _somebody_judges_once(self) -> Self:
        if self.verifies or (self.is_checklist and not self.judges and (self.items or self.items_by)):
            return self
        if (self.model is None) == (not self.models):
            alone = "; to check answers without a judge, set method: verify" if self.verify and not self.models else ""
            raise ValueError(f"name who judges: either one as model: critic, or several as models: [one, other]{alone}")
        if len(set(self.models)) < len(self.models):
            raise ValueError("models names a judge twice; for several verdicts of one judge set samples")
        return self

    @model_validator(mode="after")
    def _asks_a_model_or_verifies(self) -> Self:
        if self.ranks_correct and VERIFY in self.judges:
            raise ValueError(f"{VERIFY!r} is the checker's name in the ratings; give the judge's model another label")
        unused = sorted(self.keyed({"method", "verify", "rubric", "matches", "aspects"})) if self.verifies else []
        if unused:
            raise ValueError(f"{unused[0]} is for judges that are models; verify asks none, so leave it out")
        return self

    @model_validator(mode="after")
    def _settings_fit_the_method(self) -> Self:
        if (self.method == "rubric") == (self.rubric is None):
            raise ValueError("the method rubric goes with a rubric, as {text: …, highest: 10}; set both or neither")
        if self.matches is not None and self.method != "pairwise":
            raise ValueError(f"matches is for pairwise; {self.method} shows responses together, so leave it out")
        if self.prompt is not None and self.method == "reward":
            raise ValueError("prompt does not apply to reward models; leave it out")
        if is_own(self.method) and (self.prompt is not None or self.output != "sections"):
            raise ValueError(
                "prompt and output are for our ways of judging; your own asks in its own words, so leave them out"
            )
        if self.method != "ultrafeedback" and self.aspects != JudgeConfig.model_fields["aspects"].default:
            raise ValueError(f"aspects is for ultrafeedback; {self.method} has one question, so leave it out")
        return self

    @model_validator(mode="after")
    def _has_items_for_a_checklist(self) -> Self:
        if (self.items is not None or self.items_by is not None) and not self.is_checklist:
            raise ValueError(f"items and items_by are for checklist, and method is {self.method}; leave them out")
        if self.items is not None and self.items_by is not None:
            raise ValueError("items are given and items_by writes them; set one of the two")
        if self.items is not None and not self.items:
            raise ValueError(
                "items is empty; list at least one, name a column, or leave it out so that a model writes them"
            )
        if self.is_checklist and self.prompt is not None:
            raise ValueError("prompt does not apply to checklist, which asks in our words; leave it out")
        if self.is_checklist and self.ranks_correct and not self.judges:
            raise ValueError(
                "verify lets judges rank the correct answers, and no model judges; name one, or leave verify out"
            )
        return self

    @model_validator(mode="after")
    def _has_a_scale_to_read(self) -> Self:
        if self.read == "distribution" and self.method not in ("ultrafeedback", "rubric", CHECKLIST):
            raise ValueError(f"read: distribution is for ratings on a scale; {self.method} has none, so leave read out")
        if self.read == "distribution" and self.rubric is not None and self.rubric.halves:
            raise ValueError("read: distribution gives ratings between the whole numbers by itself; remove halves")
        return self

    @model_validator(mode="after")
    def _has_aspects_to_ask_together(self) -> Self:
        if self.together and (self.method != "ultrafeedback" or len(self.aspects) < 2):
            raise ValueError("together asks for several aspects of ultrafeedback in one call; name them in aspects")
        if self.together and self.prompt is not None:
            raise ValueError("together asks in our words, and prompt replaces them; leave one of them out")
        return self

    @property
    def calls(self) -> tuple[tuple[str, ...], ...]:
        """The criteria that each call about some texts asks for."""
        return (self.criteria,) if self.together else tuple((name,) for name in self.criteria)

    @property
    def scale(self) -> range:
        """The whole numbers of the scale that ratings are given on."""
        return range(self.rubric.lowest, self.rubric.highest + 1) if self.rubric else range(1, 6)

    @property
    def criteria(self) -> tuple[str, ...]:
        """Names of what each judge rates, as they stand in the column `aspect` of the ratings."""
        if is_own(self.method) or self.verifies:
            return (self.verifying.aspect if self.verifies else short_name(self.method),)
        if self.is_checklist:
            return (CHECKLIST,)
        if self.method in ("pairwise", "reward"):
            return ("better",) if self.method == "pairwise" else ("reward",)
        return (self.rubric.name,) if self.rubric else self.aspects

    @property
    def verifies(self) -> bool:
        """Whether answers are checked without a model."""
        return self.method == VERIFY

    @property
    def is_checklist(self) -> bool:
        """Whether items are answered with yes or no."""
        return self.method == CHECKLIST

    @property
    def items_writer(self) -> str | None:
        """Name of the model that writes the items of each prompt; None where they are given."""
        if not self.is_checklist or self.items is not None:
            return None
        return self.items_by or self.judges[0]

    @property
    def ranks_correct(self) -> bool:
        """Whether answers are checked first and the judges are asked about correct ones alone."""
        return self.verify is not None and not self.verifies

    @property
    def checks(self) -> bool:
        """Whether answers are checked, so that ratings are 1 for correct and 0 for incorrect."""
        return self.verifies or self.ranks_correct

    @property
    def verifying(self) -> VerifyConfig:
        """What answers are checked against, where they are."""
        return self.verify or VerifyConfig()

    @property
    def alone(self) -> bool:
        """Whether each response is shown alone, so that there are no orders."""
        return (
            self.verifies
            or self.method in (CHECKLIST, "reward")
            or (self.rubric is not None and not self.rubric.together)
        )

    @property
    def confirms(self) -> bool:
        """Whether the second order is asked only where the first leaves the margin."""
        return self.orders == "confirm" and not self.alone

    @property
    def judges(self) -> tuple[str, ...]:
        """Names of the models that judge."""
        return self.models if self.model is None else (self.model,)

    @property
    def votes(self) -> tuple[Vote, ...]:
        """Return one vote for each sample of each judge; the first sample carries the judge's own name.

        Where no model judges, there is one vote of no model.
        """
        if not self.judges:
            return (Vote(VERIFY, "", 0),)
        return tuple(
            Vote(name if draw == 0 else f"{name}#{draw + 1}", name, draw)
            for name in self.judges
            for draw in range(self.samples)
        )

    @property
    def orderings(self) -> tuple[str, ...]:
        """Names of the orders in which the texts may be shown."""
        return ORDERINGS[:1] if self.orders == "random" or self.alone else ORDERINGS

    @property
    def asked_first(self) -> tuple[str, ...]:
        """Names of the orders that are asked before anything is known."""
        return ORDERINGS[:1] if self.orders == "confirm" else self.orderings
