"""How many pairs each part of a mix gives."""

from collections.abc import Mapping
from fractions import Fraction
from math import lcm

from kasasagi.tasks.mix.config import MixError, RunsSource


def pairs_of_parts(source: RunsSource, left: Mapping[str, int], limit: int | None = None) -> dict[str, int]:
    """Return how many pairs each part gives.

    With shares and no number for the whole mix, the part that runs short first decides. Each number is within one pair
    of its share, and more pairs in a part lower no number.

    Args:
        source: The parts.
        left: Pairs that each part has, without duplicates.
        limit: The most pairs that the mix may have; None takes all.

    Raises:
        MixError: A part has no pairs, or fewer than it must give.
    """
    for name, count in left.items():
        if not count:
            raise MixError(f"source.parts.{name}: no pair is left without duplicates; leave this part out")
    shares = _shares(source, left)
    if any(one.pairs is not None for one in source.parts.values()):
        wanted = {name: one.pairs or 0 for name, one in source.parts.items()}
        total = sum(wanted.values())
    elif source.pairs is not None:
        wanted, total = _divided(shares, source.pairs), source.pairs
    else:
        whole = min(Fraction(count) / shares[name] for name, count in left.items())
        wanted, total = _divided(shares, int(whole)), int(whole)
    _raise_if_short(wanted, left)
    if limit is not None and limit < total:
        wanted = _divided({name: Fraction(count, total) for name, count in wanted.items()}, limit)
    return wanted


def _shares(source: RunsSource, left: Mapping[str, int]) -> dict[str, Fraction]:
    """Return the share of each part, exact and adding up to 1; without shares, those of the pairs that are there."""
    given = {name: Fraction(str(one.share)) for name, one in source.parts.items() if one.share is not None}
    weights = given or {name: Fraction(count) for name, count in left.items()}
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()}


def _divided(shares: Mapping[str, Fraction], total: int) -> dict[str, int]:
    """Return a number of pairs divided by shares, each within one pair; a larger number lowers none.

    The parts take turns, as in the chairman assignment problem (Tijdeman 1980): each pair goes to the part that would
    be first to fall a pair behind its share. After as many turns as the shares have as denominator, all shares are
    exact, so that only the rest is counted out.
    """
    whole = lcm(*(share.denominator for share in shares.values()))
    weights = {name: int(share * whole) for name, share in sorted(shares.items())}
    rounds, rest = divmod(total, whole)
    given = dict.fromkeys(weights, 0)
    for turn in range(1, rest + 1):
        given[_next_in_turn(weights, given, turn, whole)] += 1
    return {name: rounds * weights[name] + given[name] for name in shares}


def _next_in_turn(weights: Mapping[str, int], given: Mapping[str, int], turn: int, whole: int) -> str:
    """Return the part that gives the next pair."""
    slack = max(2 * len(weights) - 2, 1)
    behind = {name: (weight * turn - given[name] * whole) * slack for name, weight in weights.items()}
    ready = [name for name, lag in behind.items() if lag >= whole] or list(weights)
    return min(ready, key=lambda name: Fraction(whole * (slack - 1) - behind[name], weights[name]))


def _raise_if_short(wanted: Mapping[str, int], left: Mapping[str, int]) -> None:
    for name, count in wanted.items():
        if count > left[name]:
            raise MixError(
                f"source.parts.{name}: {count:,} pairs are wanted, and {left[name]:,} are left without duplicates; "
                "ask for fewer, or give another part more"
            )
