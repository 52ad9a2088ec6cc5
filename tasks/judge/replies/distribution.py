"""Ratings by distribution: the mean of all numbers that a judge could have written, by their probabilities.

A judge that hesitates between 3 and 4 writes one of them. The mean keeps how far it leans, so that two texts rarely
have the same rating (https://arxiv.org/abs/2503.03064). The reply is read as strictly as ever, and only then is each of
its ratings weighed: a reply that cannot be read has no rating, whatever the probabilities are.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Literal, Protocol

import pyarrow as pa

from kasasagi.blocks.models.logprobs import Numbers, digits_of
from kasasagi.tasks.asking import Answered
from kasasagi.tasks.judge.replies.lines import Verdict
from kasasagi.tasks.judge.replies.places import Span, rating_places
from kasasagi.tasks.text.thoughts.thinking import split_thinking

Read = Literal["distribution", "no_logprobs", "unclear_place", "split_number", "little_mass"]
"""How a rating was read: by distribution, or from the text because the server gave no log probabilities, it is not
clear where the rating stands, its digits lie in tokens that leave open what else was possible, or most of the
probability is on what is no rating of the scale."""


class Places(Protocol):
    """Finds the places of ratings in a reply."""

    def __call__(self, reply: str, ratings: Sequence[float], texts: Sequence[str]) -> list[Span | None]:
        """See `rating_places`."""
        ...


BY_DISTRIBUTION = (pa.field("text_rating", pa.float64()), pa.field("read", pa.string()))
"""The columns that `ratings` then has besides."""
DECIMALS = 2
"""Digits of a mean: what differs by less is noise of the server's arithmetic, and stays a tie."""
LEAST_MASS = 0.5
MOST_OPEN = 0.02
"""The most probability that numbers may have of which it is open how they would have gone on."""


def by_distribution(
    verdicts: Sequence[Verdict], answer: Answered, scale: range, shown: Sequence[str], places: Places = rating_places
) -> list[Verdict]:
    """Return verdicts with the mean of their distributions; those without one keep the text's rating.

    Args:
        verdicts: What was read in the reply.
        answer: The reply.
        scale: The ratings that were asked for.
        shown: All data that the judge was shown.
        places: Finds the places of the ratings in the reply.
    """
    numbers = answer.completion.numbers
    if numbers is None:
        return [_from_text(one, "no_logprobs") for one in verdicts]
    text = answer.completion.text if answer.reply is None else answer.reply
    spans = _spans(text, answer, partial(places, ratings=[one.rating for one in verdicts], texts=shown))
    return [_weighed(one, text, span, numbers, scale) for one, span in zip(verdicts, spans, strict=True)]


def mean_rating(text: str, span: Span, numbers: Numbers, scale: range) -> tuple[float | None, Read]:
    """Return the mean of the ratings that could have stood at a place, and how it was read; None without one.

    Args:
        text: The whole reply.
        span: The place of the rating in it.
        numbers: The numbers of the reply with their alternatives.
        scale: The ratings that were asked for.
    """
    tokens = [(digits_of(text[one[0] : one[1]]), one[2]) for one in numbers if span[0] <= one[0] and one[1] <= span[1]]
    written = "".join(own for own, _ in tokens)
    if written != digits_of(text[slice(*span)]) or not all(own in alternatives for own, alternatives in tokens):
        return None, "unclear_place"
    odds = _odds_of_ratings(tokens, scale)
    if odds is None:
        return None, "split_number"
    mass = sum(odds.values())
    if mass < LEAST_MASS:
        return None, "little_mass"
    return round(sum(rating * odd for rating, odd in odds.items()) / mass, DECIMALS), "distribution"


def _odds_of_ratings(tokens: Sequence[tuple[str, Mapping[str, float]]], scale: range) -> dict[int, float] | None:
    """Return the probability of each rating of the scale; None if too much of it is open.

    A number in several tokens, such as `1` and `0`, is followed from one to the next. Of what could have stood in place
    of each it is not known how it would have gone on, which matters if a longer number of the scale begins so.
    """
    odds: dict[int, float] = defaultdict(float)
    written, so_far, still_open = "", 1.0, 0.0
    for place, (own, alternatives) in enumerate(tokens, start=1):
        for digits, odd in alternatives.items():
            number = written + digits
            if digits == own and place < len(tokens):
                continue
            if digits not in ("", own) and _may_go_on(number, [written + other for other in alternatives], scale):
                still_open += so_far * odd
            elif number and int(number) in scale:
                odds[int(number)] += so_far * odd
        written, so_far = written + own, so_far * alternatives[own]
    return odds if still_open <= MOST_OPEN else None


def _may_go_on(number: str, beside: Sequence[str], scale: range) -> bool:
    """Return whether a number may be the beginning of a longer one of the scale, for want of tokens that are such."""
    longer = {str(one) for one in scale if str(one).startswith(number) and str(one) != number}
    return bool(longer) and longer.isdisjoint(beside)


def _weighed(verdict: Verdict, text: str, span: Span | None, numbers: Numbers, scale: range) -> Verdict:
    if span is None:
        return _from_text(verdict, "unclear_place")
    mean, read = mean_rating(text, span, numbers, scale)
    return _from_text(verdict, read) if mean is None else replace(_from_text(verdict, read), rating=mean)


def _from_text(verdict: Verdict, read: Read) -> Verdict:
    return replace(verdict, text_rating=verdict.rating, read=read)


def _spans(text: str, answer: Answered, places: Callable[[str], list[Span | None]]) -> list[Span | None]:
    """Return the places of the ratings in the whole reply, thinking included."""
    words, _ = split_thinking(answer.completion.text, answer.completion.reasoning)
    start = text.rfind(words)
    return [span and (start + span[0], start + span[1]) if start >= 0 else None for span in places(words)]
