"""Which pairs are made."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from kasasagi.blocks.models.kinds import Config
from kasasagi.tasks.judge.votes import Aggregation
from kasasagi.tasks.pairing import Conditions, OnPolicy
from kasasagi.tasks.pairing.named import STRATEGIES
from kasasagi.tasks.student import TokenLimits

StrategyName = Annotated[str, STRATEGIES]


class PairsConfig(Config):
    """How pairs are made from rated responses.

    A strategy names two responses and tries no others, so that a prompt gives one pair or a reason; but
    `all_above_margin` tries every two of them. Conditions then hold for a pair or drop it, with a reason. Only
    `on_policy` looks at several prompts at once: at those of one chunk, a few hundred.
    """

    strategy: StrategyName = Field(
        "best_vs_worst",
        description="Which two responses make a pair; one of your own is the dotted path of a function in a Python "
        "file beside the recipe.",
    )
    min_margin: float = Field(
        1.0,
        ge=0,
        description="Smallest difference between the ratings of chosen and rejected; a tie never makes a pair.",
    )
    holds: Literal["every_order", "on_average"] = Field(
        "every_order",
        description="Whether the chosen response must be rated higher in every order that was asked, or on average and "
        "lower in none, so that a tie in one order is allowed.",
    )
    aspects: Literal["mean", "minimum"] | dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(
        "mean", description="How several aspects become one rating: their mean, the lowest, or a mean with weights."
    )
    judges: Literal["mean", "median", "majority"] = Field(
        "mean",
        description="How several judges become one: by mean or median; majority takes the mean, and needs more than "
        "half of them behind a pair.",
    )
    quorum: int | None = Field(
        None,
        ge=1,
        description="Judges (each sample of each is one) that must have rated all responses of a prompt; the others "
        "are left out of it. Default: all of them.",
    )
    max_pairs: int | None = Field(None, ge=1, description="Most pairs a prompt, the widest first: all_above_margin.")
    deviations: float = Field(
        2.0, ge=0, le=10, description="Standard deviations below the mean that are rejected: sigma."
    )
    strong: tuple[str, ...] = Field((), description="Models whose answers are chosen: strong_vs_weak.")
    weak: tuple[str, ...] = Field((), description="Models whose answers are rejected: strong_vs_weak.")
    min_chosen_rating: float | None = Field(
        None, allow_inf_nan=False, description="Least rating of the chosen response."
    )
    models: Literal["any", "same", "different"] = Field(
        "any", description="Whether the two responses are by one model or by two."
    )
    max_length_ratio: float | None = Field(
        None, ge=1, allow_inf_nan=False, description="Most times that one text is as long as the other, in characters."
    )
    max_length_difference: int | None = Field(
        None, ge=0, description="Most characters that one text is longer than the other."
    )
    max_similarity: float | None = Field(
        None, ge=0, le=1, description="Most of their distinct character trigrams that the two texts share."
    )

    max_tokens: TokenLimits | None = Field(
        None, description="Most tokens for the student, as {tokenizer: my/student, prompt: 512, total: 2048}."
    )
    on_policy: OnPolicy | None = Field(
        None, description="Least share of pairs by the student itself, as {models: [student], share: 0.5}."
    )

    @model_validator(mode="after")
    def _fields_fit_the_strategy(self) -> Self:
        problem = self._unused_setting() or self._strong_and_weak() or self._weightless()
        if problem:
            raise ValueError(problem)
        return self

    def _unused_setting(self) -> str | None:
        """Return a message on a setting that the strategy would ignore."""
        if self.max_pairs is not None and self.strategy != "all_above_margin":
            return f"max_pairs is for all_above_margin; {self.strategy} makes one pair a prompt, so leave it out"
        if self.strategy != "sigma" and self.deviations != PairsConfig.model_fields["deviations"].default:
            return f"deviations is for sigma; {self.strategy} has no use for it, so leave it out"
        if self.strategy != "strong_vs_weak" and (self.strong or self.weak):
            return f"strong and weak are for strong_vs_weak; {self.strategy} goes by ratings, so leave them out"
        if self.strategy == "strong_vs_weak" and self.min_chosen_rating is not None:
            return "min_chosen_rating asks for ratings, and strong_vs_weak uses none, so leave it out"
        return None

    def _strong_and_weak(self) -> str | None:
        if self.strategy != "strong_vs_weak":
            return None
        if not self.strong or not self.weak:
            return "strong_vs_weak needs the models of both sides: name them as strong: [large] and weak: [small]"
        both = sorted(set(self.strong) & set(self.weak))
        return f"{both[0]!r} is named both as strong and as weak; it can be but one of them" if both else None

    def _weightless(self) -> str | None:
        if isinstance(self.aspects, str) or any(self.aspects.values()):
            return None
        return "aspects has no weight above 0, so nothing would count; give one to an aspect that is judged"

    def aggregation(self) -> Aggregation:
        """How the marks of a response become one number, and how far two must lie apart."""
        return Aggregation(self.min_margin, self.aspects, self.judges, self.quorum)

    def conditions(self) -> Conditions:
        """What a pair must meet beside its strategy's promises, but for the tokens, which depend on its prompt."""
        return Conditions(
            self.min_chosen_rating,
            self.models,
            self.max_length_ratio,
            self.max_length_difference,
            self.max_similarity,
            every_order=self.holds == "every_order",
        )
