"""How many draws a Magpie source needs, by what it wants and the yield so far."""

import math

from tasks.synthesize.config import MagpieSource

DRAWS_IN_A_CHUNK = 256
FIRST_GUESS_OF_YIELD = 0.8
MOST_DRAWS_FOR_ONE = 20


def draws_wanted(source: MagpieSource, drawn: int, accepted: int) -> int:
    """How many draws there shall be in all, after some were drawn and some of these accepted; drawn if it suffices.

    The number depends on nothing but the recipe and the yield so far, so a run that is repeated draws the same.
    """
    if source.samples is not None:
        return source.samples
    target = source.target or 0
    if accepted >= target or drawn >= target * MOST_DRAWS_FOR_ONE:
        return drawn
    share = max(accepted / drawn, 1 / MOST_DRAWS_FOR_ONE) if drawn else FIRST_GUESS_OF_YIELD
    wanted = math.ceil((target - accepted) / share * 1.05) + drawn
    return min(-(-wanted // DRAWS_IN_A_CHUNK) * DRAWS_IN_A_CHUNK, max(target * MOST_DRAWS_FOR_ONE, DRAWS_IN_A_CHUNK))


def limited(source: MagpieSource, limit: int | None) -> MagpieSource:
    """A source that wants no more than a limit."""
    if limit is None:
        return source
    if source.target is not None:
        return source.model_copy(update={"target": min(source.target, limit)})
    return source.model_copy(update={"samples": min(source.samples or limit, limit)})
