"""The yield of draws: how many were accepted, why the others were rejected, and when that is too little to continue."""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from kasasagi.blocks.models.llm import PASSING

SURPRISE = 0.001
"""A floor counts as missed early where so few accepted draws, or fewer, would be seen once in a thousand runs."""
MOST_COUNTED_EXACTLY = 4096
STANDARD_ERRORS = 3.1
"""The same surprise for more draws than are counted exactly, where their share is as good as normally distributed."""
REASONS_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Yield:
    """Draws, how many of them were accepted, and why the others were not."""

    draws: int = 0
    accepted: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: "Yield") -> "Yield":
        both = Counter(self.rejected) + Counter(other.rejected)
        return Yield(self.draws + other.draws, self.accepted + other.accepted, both)

    @property
    def share(self) -> float:
        """The share of accepted draws; 1 where none was drawn."""
        return self.accepted / self.draws if self.draws else 1.0

    @property
    def answered(self) -> "Yield":
        """The yield of the draws that got an answer: an outage is no fault of the template."""
        lost = sum(count for reason, count in self.rejected.items() if reason in PASSING)
        return Yield(
            self.draws - lost,
            self.accepted,
            {reason: count for reason, count in self.rejected.items() if reason not in PASSING},
        )

    def reasons(self) -> list[tuple[str, int]]:
        """Return why draws were rejected, the commonest first."""
        return sorted(self.rejected.items(), key=lambda entry: (-entry[1], entry[0]))

    def sentence(self) -> str:
        """Return the yield as one line."""
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in self.reasons())
        summary = f"{self.draws:,} draws, {self.accepted:,} accepted ({self.share:.1%})"
        return f"{summary}; rejected: {reasons}" if reasons else summary


class RunningYield:
    """Adds up the yields of chunks in the order of their numbers, whatever the order in which they come."""

    def __init__(self, report: Callable[[Yield], None]) -> None:
        self._report = report
        self._waiting: dict[int, Yield] = {}
        self._next = 0
        self._sum = Yield()

    def add(self, number: int, chunk: Yield) -> None:
        """Take in the yield of a chunk; `report` gets every sum of the first chunks, once each."""
        self._waiting[number] = chunk
        while self._next in self._waiting:
            self._sum += self._waiting.pop(self._next)
            self._next += 1
            self._report(self._sum)


def below_floor(total: Yield, floor: float) -> bool:
    """Return whether a yield is below a floor."""
    return total.share < floor


def clearly_below_floor(total: Yield, floor: float) -> bool:
    """Return whether some draws already show that the whole yield will be below a floor (one-sided binomial test)."""
    if not below_floor(total, floor):
        return False
    if total.draws <= MOST_COUNTED_EXACTLY:
        return _chance_of_so_few(total.accepted, total.draws, floor) < SURPRISE
    return total.share < floor - STANDARD_ERRORS * math.sqrt(floor * (1 - floor) / total.draws)


def _chance_of_so_few(accepted: int, draws: int, share: float) -> float:
    """Return the chance that so many draws or fewer are accepted, if each is with the chance `share`."""
    if share >= 1:
        return 0.0
    ways = [math.lgamma(draws + 1) - math.lgamma(k + 1) - math.lgamma(draws - k + 1) for k in range(accepted + 1)]
    logs = [way + k * math.log(share) + (draws - k) * math.log1p(-share) for k, way in enumerate(ways)]
    return math.fsum(map(math.exp, logs))


def remedy(total: Yield, floor: float) -> str:
    """Return what was expected of a yield that lies under a floor, which rule rejects, and what can be done."""
    culprits = [f"{reason} rejects {count:,}" for reason, count in total.reasons()[:REASONS_SHOWN]]
    why = f" ({', '.join(culprits)})" if culprits else ""
    return f"at least {floor:.1%}{why}: change the template, the sampling or that rule, or lower source.min_yield"
