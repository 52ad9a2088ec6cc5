"""What a pair must meet beside its strategy's promises: each condition drops it with a reason of its own."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from kasasagi.tasks.pairing.candidates import Candidate, Dropped, Pair, higher, reaches, texts


@dataclass(frozen=True, slots=True)
class TokenLimit:
    """The most tokens that a prompt and a response may have together, and who counts them.

    `count` gives None for a conversation that the student's chat template refuses.
    """

    most: int
    count: Callable[[Candidate], int | None]


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a pair must meet beside its strategy's promises; None asks nothing. Lengths are in characters."""

    min_chosen_rating: float | None = None
    models: Literal["any", "same", "different"] = "any"
    max_length_ratio: float | None = None
    max_length_difference: int | None = None
    max_similarity: float | None = None
    total_tokens: TokenLimit | None = None
    every_order: bool = False


def broken_condition(conditions: Conditions, pair: Pair) -> Dropped | None:
    """Return the first condition that a pair does not meet, or None."""
    return next((broken for test in _CONDITIONS if (broken := test(conditions, pair)) is not None), None)


def _not_in_every_order(conditions: Conditions, pair: Pair) -> Dropped | None:
    """Check that the chosen response is rated higher in each order in which the texts were shown."""
    if not conditions.every_order or pair.margin is None:
        return None
    orders = list(zip(pair.chosen.ratings, pair.rejected.ratings, strict=True))
    if all(one is not None and other is not None and higher(one, other) for one, other in orders):
        return None
    shown = " and ".join(f"{one:g} against {other:g}" for one, other in orders if one is not None and other is not None)
    return Dropped("tie_in_one_order", f"the chosen response is not rated higher in every order: {shown}")


def _too_low(conditions: Conditions, pair: Pair) -> Dropped | None:
    least, rating = conditions.min_chosen_rating, pair.chosen_rating
    if least is None or (rating is not None and reaches(rating, least)):
        return None
    shown = "not rated" if rating is None else f"rated {rating:g}"
    return Dropped("below_min_chosen_rating", f"the better response is {shown}, and at least {least:g} is required")


def _wrong_models(conditions: Conditions, pair: Pair) -> Dropped | None:
    one, other = pair.chosen.model, pair.rejected.model
    if conditions.models == "different" and one == other:
        return Dropped("same_model", f"both responses are by {one}")
    if conditions.models == "same" and one != other:
        return Dropped("different_model", f"the responses are by {one} and {other}")
    return None


def _unlike_in_ratio(conditions: Conditions, pair: Pair) -> Dropped | None:
    most, (longer, shorter) = conditions.max_length_ratio, _lengths(pair)
    if most is None or longer <= most * shorter:
        return None
    return Dropped("length_ratio", f"{longer} characters are more than {most:g} times {shorter}")


def _unlike_in_length(conditions: Conditions, pair: Pair) -> Dropped | None:
    most, (longer, shorter) = conditions.max_length_difference, _lengths(pair)
    if most is None or longer - shorter <= most:
        return None
    return Dropped("length_difference", f"{longer} and {shorter} characters differ by more than {most}")


def _lengths(pair: Pair) -> tuple[int, int]:
    """Characters of the longer and of the shorter text, without blanks around them."""
    one, other = (len(text) for text in texts(pair))
    return max(one, other), min(one, other)


def _too_similar(conditions: Conditions, pair: Pair) -> Dropped | None:
    if conditions.max_similarity is None:
        return None
    found = similarity(*texts(pair))
    if found <= conditions.max_similarity:
        return None
    return Dropped(
        "too_similar", f"the similarity of the texts is {found:.2f}, more than {conditions.max_similarity:g}"
    )


def similarity(one: str, other: str) -> float:
    """Return how alike two texts are, from 0 to 1: the share of their distinct character trigrams that both have
    (Jaccard).

    Case and runs of blanks do not count. Of characters, so that it means the same for Japanese as for English.
    """
    grams = [_trigrams(" ".join(text.split()).casefold()) for text in (one, other)]
    union = len(grams[0] | grams[1])
    return len(grams[0] & grams[1]) / union if union else 1.0


def _trigrams(text: str) -> set[str]:
    return {text[start : start + 3] for start in range(max(1, len(text) - 2))} - {""}


def _too_many_tokens(conditions: Conditions, pair: Pair) -> Dropped | None:
    limit = conditions.total_tokens
    if limit is None:
        return None
    for side, candidate in (("chosen", pair.chosen), ("rejected", pair.rejected)):
        tokens = limit.count(candidate)
        if tokens is None:
            return Dropped("chat_template", f"the student's chat template refuses the {side} response")
        if tokens > limit.most:
            counted = f"prompt and {side} response have {tokens} tokens"
            return Dropped("total_tokens", f"{counted}, and {limit.most} are allowed")
    return None


_CONDITIONS = (
    _not_in_every_order,
    _too_low,
    _wrong_models,
    _unlike_in_ratio,
    _unlike_in_length,
    _too_similar,
    _too_many_tokens,
)
