"""Whether refusals (429) are about the number of calls in flight, or come whatever that number is.

A server that takes so many calls refuses nearly all that are sent beyond that; a provider that sheds load, or a
gateway that fails now and then, refuses a share of all calls. Two tests tell them apart, and neither asks the clock.
A cumulative sum (E. S. Page, Continuous inspection schemes, Biometrika 1954) sees a server that is far too full: each
refusal adds the logarithm of how much more likely it is there than by the usual share, each call that was taken
subtracts likewise, and the sum never falls below zero. A comparison of levels sees one that is just full: there, calls
are refused at levels above those of the calls that were sent between them and taken.
"""

import math
import statistics
from collections import deque

SHARE_AT_A_FULL_SERVER = 0.95
LEAST_USUAL_SHARE = 0.05
MOST_USUAL_SHARE = 0.7
CERTAIN = 4 * math.log(SHARE_AT_A_FULL_SERVER / LEAST_USUAL_SHARE) - 1e-9
REMEMBERED_CALLS = 500
PRIOR_CALLS = 20.0
COMPARED = 10
REMEMBERED_LEVELS = 1024


class Refusals:
    """The refusals of one address, judged by the number of each call and by its level (the calls in flight with it).

    A refusal comes at once and an answer late, so that calls between two refused ones count as taken. lowest is the
    lowest level among the refusals that follow one another now.
    """

    def __init__(self) -> None:
        self.lowest = 0
        self._levels: dict[int, int] = {}
        self._latest: deque[int] = deque(maxlen=COMPARED)
        self._last = 0
        self._sum = 0.0
        self._row = 0
        self._calls = PRIOR_CALLS
        self._refused = PRIOR_CALLS * LEAST_USUAL_SHARE

    @property
    def usual_share(self) -> float:
        """The share of calls that is refused whatever the number in flight, where known."""
        return min(MOST_USUAL_SHARE, max(LEAST_USUAL_SHARE, self._refused / self._calls))

    @property
    def usual_per_answer(self) -> float:
        """The same per call that is taken."""
        return self.usual_share / (1 - self.usual_share)

    def on_send(self, number: int, level: int) -> None:
        """Note a call that is sent."""
        self._levels[number] = level
        self._levels.pop(number - REMEMBERED_LEVELS, None)

    def on_refusal(self, number: int, level: int) -> bool:
        """Note that a call was refused; gives whether this and those before it show that far too many are in flight."""
        self._latest.append(number)
        taken = max(0, number - self._last - 1)
        self._last = max(self._last, number)
        self._pass_over(taken)
        self._row += 1
        self.lowest = level if self._row == 1 else min(self.lowest, level)
        was_certain = self._sum >= CERTAIN
        self._sum = min(CERTAIN, self._sum + math.log(SHARE_AT_A_FULL_SERVER / self.usual_share))
        if self._sum < CERTAIN:
            self._learn(taken)
        elif not was_certain:
            self._unlearn_row()
        return self._sum >= CERTAIN

    def ceiling(self) -> int | None:
        """Return the level above which the latest refusals came, if most calls between them were taken at no higher
        one.
        """
        if len(self._latest) < COMPARED:
            return None
        refused = set(self._latest)
        self._latest.clear()
        if min(refused) not in self._levels:
            return None
        taken = [self._levels[number] for number in range(min(refused), max(refused)) if number not in refused]
        lowest = min(self._levels[number] for number in refused)
        return lowest - 1 if len(taken) >= COMPARED and lowest > statistics.median(taken) else None

    def _pass_over(self, taken: int) -> None:
        self._sum += taken * math.log((1 - SHARE_AT_A_FULL_SERVER) / (1 - self.usual_share))
        if self._sum <= 0.0:
            self._sum, self._row = 0.0, 0

    def _learn(self, taken: int) -> None:
        kept = (1 - 1 / REMEMBERED_CALLS) ** (taken + 1)
        self._calls = self._calls * kept + taken + 1
        self._refused = self._refused * kept + 1

    def _unlearn_row(self) -> None:
        """Forget what was learned from refusals that turn out to be those of a full server."""
        self._refused = max(0.0, self._refused - (self._row - 1))
        self._calls = max(PRIOR_CALLS, self._calls - (self._row - 1))
