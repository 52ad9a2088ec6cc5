"""How many draws a Magpie source needs, by what it wants and the yield so far."""

import math

from kasasagi.tasks.synthesize.config import MagpieSource

DRAWS_IN_A_CHUNK = 256
FIRST_GUESS_OF_YIELD = 0.8
MOST_DRAWS_FOR_ONE = 20
SPARE = 1.02
"""Draws beyond what the yield so far asks for, so that most runs need no further round."""


def draws_wanted(source: MagpieSource, drawn: int, accepted: int) -> int:
    """Return how many draws the next round ends at, after some were drawn and some of these accepted.

    The first round is the scout: no more than a chunk, since only its yield tells how many draws the target takes. The
    number depends on nothing but the recipe and the yield so far, so a run that is repeated draws the same. It is
    `drawn` where that suffices.
    """
    draws = estimate_draws(source, drawn, accepted)
    return min(draws, DRAWS_IN_A_CHUNK) if source.target is not None and not drawn else draws


def estimate_draws(source: MagpieSource, drawn: int, accepted: int) -> int:
    """Return how many draws the source will take in all, by its yield so far, or by a guess before the first one."""
    if source.samples is not None:
        return source.samples
    target = source.target or 0
    most = target * MOST_DRAWS_FOR_ONE
    if accepted >= target or drawn >= most:
        return drawn
    return min(estimate_tries(target, drawn, accepted), most)


def estimate_tries(target: int, tried: int, made: int) -> int:
    """Return how many tries a target will take in all, by the yield so far, or by a guess before the first one."""
    share = max(made / tried, 1 / MOST_DRAWS_FOR_ONE) if tried else FIRST_GUESS_OF_YIELD
    return math.ceil((target - made) / share * SPARE) + tried


def chunks_of_draws(drawn: int, draws: int) -> list[range]:
    """Return the numbers of further draws, divided into chunks; none of them is ever drawn a second time."""
    return [range(first, min(first + DRAWS_IN_A_CHUNK, draws)) for first in range(drawn, draws, DRAWS_IN_A_CHUNK)]


def apply_limit(source: MagpieSource, limit: int | None) -> MagpieSource:
    """Return a source that wants no more than a limit."""
    if limit is None:
        return source
    if source.target is not None:
        return source.model_copy(update={"target": min(source.target, limit)})
    return source.model_copy(update={"samples": min(source.samples or limit, limit)})
