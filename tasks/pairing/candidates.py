"""What pairs are made of: rated responses, the pairs themselves, and the reasons for having none."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Reason = Literal[
    "too_few_responses",
    "missing_rating",
    "no_quorum",
    "no_finished_response",
    "identical_texts",
    "order_flip",
    "tie",
    "all_correct",
    "none_correct",
    "tie_in_one_order",
    "below_margin",
    "no_majority",
    "contradicting_pairs",
    "no_strong_response",
    "no_weak_response",
    "below_min_chosen_rating",
    "same_model",
    "different_model",
    "length_ratio",
    "length_difference",
    "too_similar",
    "prompt_tokens",
    "total_tokens",
    "chat_template",
    "off_policy",
    "surplus",
    "only_refusals",
    "no_refusal",
    "no_choice",
    "strategy_error",
]
ROUNDING = 1e-12
"""Ratings whose difference is a smaller share of them are equal."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One response that a pair can contain.

    Attributes:
        ratings: One number for each order of the texts, in the same sequence for all candidates of a prompt; None, NaN
            or infinity if there is no readable rating.
        thinking: The model's thinking before the answer; it is not compared.
        votes: One number for each judge over all orders, if a pair needs a majority.
        lacks_quorum: Fewer judges than required rated all responses to the prompt.
        checked: The rating is a checker's verdict: 1 for correct, 0 for incorrect.
        rank: The judges' rating of a correct response, which decides between equal verdicts; None if it has none.
    """

    response_id: str
    model: str
    content: str
    ratings: tuple[float | None, ...]
    finish_reason: str | None = None
    thinking: str | None = None
    votes: tuple[float | None, ...] = ()
    lacks_quorum: bool = False
    checked: bool = False
    rank: float | None = None

    @property
    def rating(self) -> float | None:
        """The rating over all orders."""
        return combine(self.ratings)


@dataclass(frozen=True, slots=True)
class Pair:
    """A preference: the two responses, their ratings over all orders, and how far these lie apart (above zero).

    The numbers are None where no judge was asked.
    """

    chosen: Candidate
    rejected: Candidate
    chosen_rating: float | None
    rejected_rating: float | None
    margin: float | None


@dataclass(frozen=True, slots=True)
class Dropped:
    """Why a prompt gives no pair: `reason` for machines, `detail` for people."""

    reason: Reason
    detail: str


def combine(ratings: Sequence[float | None]) -> float | None:
    """Return the mean of one response's ratings; None if there is none or one of them is missing or not finite."""
    known = [rating for rating in ratings if rating is not None]
    if not known or len(known) < len(ratings):
        return None
    try:
        mean = math.fsum(known) / len(known)
    except (OverflowError, ValueError):
        return None
    return mean if math.isfinite(mean) else None


def reaches(rating: float, bound: float) -> bool:
    """Return whether a rating is as high as a bound, but for what rounding takes from a mean of thirds or
    of weights.
    """
    return rating >= bound or math.isclose(rating, bound, rel_tol=ROUNDING)


def higher(one: float, other: float) -> bool:
    """Return whether one rating is higher than another by more than rounding makes of equals."""
    return one > other and not math.isclose(one, other, rel_tol=ROUNDING)


def texts(pair: Pair) -> tuple[str, str]:
    """Return the chosen and the rejected text, without blanks around them."""
    return pair.chosen.content.strip(), pair.rejected.content.strip()


def same_text(one: Candidate, other: Candidate) -> bool:
    """Return whether two responses say the same but for blanks around it."""
    return one.content.strip() == other.content.strip()
