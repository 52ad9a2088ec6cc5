"""Which pairs are made."""

from typing import Annotated, Literal, Self, get_args

from pydantic import Field, field_validator, model_validator

from kasasagi.blocks.models.kinds import Config
from kasasagi.tasks.judge.votes import Aggregation
from kasasagi.tasks.pairing import Conditions, OnPolicy, Reason, Safety
from kasasagi.tasks.pairing.named import STRATEGIES
from kasasagi.tasks.select.config import SelectConfig
from kasasagi.tasks.token_counts import TokenLimits

StrategyName = Annotated[str, STRATEGIES]


class PairsConfig(Config):
    """How pairs are made from rated responses.

    A strategy names two responses and tries no others, so that a prompt gives one pair or a reason; but
    `all_above_margin` tries every two of them. Conditions then hold for a pair or drop it, with a reason. Only
    `on_policy` looks at several prompts at once: at those of one chunk, a few hundred.
    """

    strategy: StrategyName = Field(
        "best_vs_worst",
        description="Which two responses make a pair; for your own strategy write the dotted path of a function in a "
        "Python file next to the recipe.",
    )
    min_margin: float = Field(
        1.0,
        ge=0,
        description="Smallest difference between the ratings of chosen and rejected; a tie never makes a pair.",
    )
    holds: Literal["every_order", "on_average"] = Field(
        "every_order",
        description="Whether the chosen response must be rated higher in every order, or only on average and lower in"
        " none (which allows a tie in one order).",
    )
    aspects: Literal["mean", "minimum"] | dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(
        "mean", description="How several aspects become one rating: mean, minimum, or weights for a weighted mean."
    )
    judges: Literal["mean", "median", "majority"] = Field(
        "mean",
        description="How the ratings of several judges are combined: mean, median, or majority (the mean, if more "
        "than half of the judges agree on the pair).",
    )
    quorum: int | None = Field(
        None,
        ge=1,
        description="Number of judges (each sample counts) that must have rated all responses to a prompt; the other "
        "judges' ratings of it are ignored. Default: all judges.",
    )
    max_pairs: int | None = Field(
        None, ge=1, description="For all_above_margin: maximum number of pairs for a prompt, widest margins first."
    )
    deviations: float = Field(
        2.0, ge=0, le=10, description="For sigma: how many standard deviations below the mean the rejected response is."
    )
    strong: tuple[str, ...] = Field(
        (), description="For strong_vs_weak: models whose answers are chosen. For solver_gap: the strong models."
    )
    weak: tuple[str, ...] = Field(
        (), description="For strong_vs_weak: models whose answers are rejected. For solver_gap: the weak models."
    )
    where: dict[str, str] = Field(
        default_factory=dict,
        description="SQL conditions on a prompt and what its responses showed (rating_spread, pass_rate, solver_gap), "
        "by the reason that the quarantine shows for prompts that do not meet them.",
    )
    select: SelectConfig | None = Field(
        None, description="Quotas: how many prompts of each kind become pairs, by what their responses showed."
    )
    pass_rating: float | None = Field(
        None,
        allow_inf_nan=False,
        description="Rating from which an answer passes, for pass_rate. Default: 1 where answers are checked, else "
        "three quarters up the scale (4 of 1 to 5).",
    )
    min_chosen_rating: float | None = Field(
        None, allow_inf_nan=False, description="Minimum rating of the chosen response."
    )
    models: Literal["any", "same", "different"] = Field(
        "any", description="Whether the two responses must come from the same model, from different ones, or either."
    )
    max_length_ratio: float | None = Field(
        None, ge=1, allow_inf_nan=False, description="Maximum ratio of the two lengths in characters."
    )
    max_length_difference: int | None = Field(
        None, ge=0, description="Maximum difference of the two lengths in characters."
    )
    max_similarity: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Maximum similarity: the share of distinct character trigrams that both texts have.",
    )
    target: int | None = Field(
        None,
        ge=1,
        description="Number of pairs to publish: prompts are drawn or taken in their order until so many pairs stand; "
        "a higher number only adds pairs.",
    )
    max_tokens: TokenLimits | None = Field(
        None,
        description="Maximum number of tokens for the student model, e.g. {tokenizer: my/student, prompt: 512, total:"
        " 2048}.",
    )
    on_policy: OnPolicy | None = Field(
        None, description="Minimum share of on-policy pairs, e.g. {models: [student], share: 0.5}."
    )
    safety: Safety | None = Field(
        None,
        description="On which prompts a refusal is right, so that refusals become sides of pairs, e.g. "
        "{unsafe: \"safety <> 'safe'\"}; needs `respond.rules` without no_refusal.",
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
        if self.strategy != "strong_vs_weak" and (self.strong or self.weak) and not self.chooses_prompts:
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

    @field_validator("where")
    @classmethod
    def _named_reasons(cls, where: dict[str, str]) -> dict[str, str]:
        for reason, condition in where.items():
            if not reason.strip() or reason in (*get_args(Reason), "quota"):
                raise ValueError(f"where: {reason!r} cannot be a reason of its own; choose another name")
            if not condition.strip():
                raise ValueError(f"where.{reason}: the condition is empty; write SQL that a prompt must satisfy")
        return where

    @property
    def chooses_prompts(self) -> bool:
        """Whether prompts are chosen by what their responses showed."""
        return bool(self.where) or self.select is not None

    def aggregation(self) -> Aggregation:
        """Return how the marks of a response become one number, and how far two must lie apart."""
        return Aggregation(self.min_margin, self.aspects, self.judges, self.quorum)

    def conditions(self) -> Conditions:
        """Return what a pair must meet beside its strategy's promises, but for the tokens, which depend on
        its prompt.
        """
        return Conditions(
            self.min_chosen_rating,
            self.models,
            self.max_length_ratio,
            self.max_length_difference,
            self.max_similarity,
            every_order=self.holds == "every_order",
        )
