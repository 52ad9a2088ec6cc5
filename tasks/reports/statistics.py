"""Shares, means and agreement with their intervals: small statistics that need no library."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

Z = 1.959964
# Student's t for 95%, two-sided, by degrees of freedom; beyond the last the normal one is near enough.
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131)


class Interval(NamedTuple):
    """A figure and the 95% interval about it."""

    value: float
    low: float
    high: float


def share(hits: float, of: float) -> Interval | None:
    """Return a share with Wilson's interval (Wilson 1927), which holds for few cases and for shares near 0 and 1.

    None where there are no cases. hits and of need not be whole, so that half a hit or an effective number counts.
    """
    if of <= 0:
        return None
    rate = hits / of
    centre = (rate + Z * Z / (2 * of)) / (1 + Z * Z / of)
    half = Z / (1 + Z * Z / of) * math.sqrt(rate * (1 - rate) / of + Z * Z / (4 * of * of))
    return Interval(rate, max(0.0, centre - half), min(1.0, centre + half))


class Totals(NamedTuple):
    """Sums over clusters, such as prompts: of their hits and cases, of the squares and products of these."""

    hits: float
    cases: float
    hits_squared: float
    hits_by_cases: float
    cases_squared: float
    clusters: int


def clustered_share(sums: Totals) -> Interval | None:
    """Return a share of cases that come in clusters, such as the comparisons of one prompt, and are not independent.

    The variance is that of a ratio of cluster totals; Wilson's interval is then taken at the number of independent
    cases that would vary as much. None where there are no cases.
    """
    if not sums.cases:
        return None
    rate = sums.hits / sums.cases
    spread = sums.hits_squared - 2 * rate * sums.hits_by_cases + rate * rate * sums.cases_squared
    variance = spread * sums.clusters / (max(1, sums.clusters - 1) * sums.cases * sums.cases)
    effective = min(sums.cases, rate * (1 - rate) / variance) if variance > 1e-12 else float(sums.clusters)
    return share(rate * effective, effective)


def clustered_mean(sums: Totals) -> Interval | None:
    """Return the mean of cases that come in clusters with its normal interval; None where fewer than two clusters are.

    The cases are from -1 to 1, such as differences of two shares.
    """
    if sums.clusters < 2:
        return None
    middle = sums.hits / sums.cases
    spread = sums.hits_squared - 2 * middle * sums.hits_by_cases + middle * middle * sums.cases_squared
    variance = spread * sums.clusters / ((sums.clusters - 1) * sums.cases * sums.cases)
    half = Z * math.sqrt(max(0.0, variance))
    return Interval(middle, max(-1.0, middle - half), min(1.0, middle + half))


def mean(values: Sequence[float]) -> Interval | None:
    """Return a mean with Student's interval; None for no values, and an endless interval for a single one."""
    if not values:
        return None
    middle = statistics.fmean(values)
    if len(values) == 1:
        return Interval(middle, -math.inf, math.inf)
    freedom = len(values) - 1
    t = _T[freedom - 1] if freedom <= len(_T) else Z + 2.5 / freedom
    half = t * statistics.stdev(values) / math.sqrt(len(values))
    return Interval(middle, middle - half, middle + half)


def kappa(counts: Mapping[tuple[str, str], int]) -> float | None:
    """Cohen's kappa (Cohen 1960) of two raters from the counts of their verdicts; None where chance explains all."""
    total = sum(counts.values())
    if not total:
        return None
    labels = {label for pair in counts for label in pair}
    agreed = sum(counts.get((label, label), 0) for label in labels) / total
    by_chance = math.fsum(
        sum(n for (one, _), n in counts.items() if one == label)
        * sum(n for (_, other), n in counts.items() if other == label)
        for label in labels
    ) / (total * total)
    return None if by_chance >= 1 else (agreed - by_chance) / (1 - by_chance)
