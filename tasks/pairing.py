"""From rated responses to one preference: the best over the worst, or the reason why there is none."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Reason = Literal[
    "too_few_responses",
    "missing_rating",
    "no_finished_response",
    "identical_texts",
    "order_flip",
    "tie",
    "below_margin",
]
UNFINISHED = ("length", "content_filter", "max_tokens")


@dataclass(frozen=True, slots=True)
class Candidate:
    """One response that may stand in a pair.

    `ratings` has one number for each order in which the texts were shown, in the same order for all candidates of a
    prompt; None, NaN or infinity where there is no readable rating.
    """

    response_id: str
    model: str
    content: str
    ratings: tuple[float | None, ...]
    finish_reason: str | None = None

    @property
    def rating(self) -> float | None:
        """The rating over all orders."""
        return combine(self.ratings)


@dataclass(frozen=True, slots=True)
class Pair:
    """A preference: the two responses, their ratings over all orders, and how far these lie apart (above zero)."""

    chosen: Candidate
    rejected: Candidate
    chosen_rating: float
    rejected_rating: float
    margin: float


@dataclass(frozen=True, slots=True)
class Dropped:
    """Why a prompt gives no pair: `reason` for machines, `detail` for people."""

    reason: Reason
    detail: str


def combine(ratings: Sequence[float | None]) -> float | None:
    """The mean of one response's ratings; None if there is none or one of them is missing or not finite."""
    known = [rating for rating in ratings if rating is not None]
    if not known or len(known) < len(ratings):
        return None
    try:
        mean = math.fsum(known) / len(known)
    except (OverflowError, ValueError):
        return None
    return mean if math.isfinite(mean) else None


def best_vs_worst(candidates: Sequence[Candidate], min_margin: float) -> Pair | Dropped:
    """The pair of the best and the worst rated response, or why there is none.

    Only responses rated in every order count. The best is sought among the finished ones: a truncated answer is
    never chosen, but may be rejected. Among equals the smallest response_id is taken, which is a digest and so
    favours no model. The mean margin must be above zero and at least `min_margin`; it may stem from one order alone
    if the other sees a tie, but where the orders contradict each other there is no pair. If the best and the worst
    make no pair, no other two are tried: that would pick what the judge happens to agree on. The outcome does not
    depend on the order of the candidates.
    """
    if len(candidates) < 2:
        return Dropped("too_few_responses", f"{len(candidates)} of the 2 responses that a pair needs")
    rated = _rated(candidates)
    if len(rated) < 2:
        return Dropped("missing_rating", f"{len(rated)} of {len(candidates)} responses are rated in every order")
    finished = [one for one in rated if one.candidate.finish_reason not in UNFINISHED]
    if not finished:
        return Dropped("no_finished_response", f"all {len(rated)} rated responses are truncated")
    best = min(finished, key=lambda one: (-one.rating, *one.name))
    worst = min((one for one in rated if one is not best), key=lambda one: (one.rating, *one.name))
    return _pair(best, worst, min_margin)


@dataclass(frozen=True, slots=True)
class _Rated:
    candidate: Candidate
    rating: float
    name: tuple[str, str, str]


def _rated(candidates: Sequence[Candidate]) -> list[_Rated]:
    """The candidates that have a rating in as many orders as any of them, with what breaks ties between them."""
    orders = max(len(candidate.ratings) for candidate in candidates)
    return [
        _Rated(each, rating, (each.response_id, each.model, each.content))
        for each in candidates
        if len(each.ratings) == orders and (rating := each.rating) is not None
    ]


def _pair(best: _Rated, worst: _Rated, min_margin: float) -> Pair | Dropped:
    chosen, rejected = best.candidate, worst.candidate
    margin = best.rating - worst.rating
    ratings = f"{best.rating:g} and {worst.rating:g}"
    if chosen.content.strip() == rejected.content.strip():
        return Dropped("identical_texts", f"the texts rated {ratings} are the same")
    if _flips(chosen, rejected):
        return Dropped("order_flip", f"the orders contradict each other: {chosen.ratings} and {rejected.ratings}")
    if margin <= 0:
        return Dropped("tie", f"the best and the worst are rated {ratings}")
    if not margin >= min_margin:
        return Dropped("below_margin", f"the ratings {ratings} lie {margin:g} apart, less than {min_margin:g}")
    return Pair(chosen, rejected, best.rating, worst.rating, margin)


def _flips(one: Candidate, other: Candidate) -> bool:
    """Whether one is better in some order and worse in another."""
    known = [(a, b) for a, b in zip(one.ratings, other.ratings, strict=True) if a is not None and b is not None]
    return any(a > b for a, b in known) and any(a < b for a, b in known)
