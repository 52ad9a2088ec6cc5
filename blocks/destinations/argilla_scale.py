"""The scale on which people rate in Argilla, in whole numbers from 0 to 10: a judge's ratings there and back."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

MOST = 10
USUAL = (1, 2, 3, 4, 5)
"""The steps that a scale of whole numbers has at least."""


@dataclass(frozen=True, slots=True)
class ArgillaScale:
    """A judge's ratings from lowest to highest, spread evenly over the steps that a person may choose."""

    lowest: float
    highest: float
    steps: tuple[int, ...]

    @classmethod
    def from_values(cls, values: Sequence[float]) -> "ArgillaScale":
        """Return the scale of some evenly spaced ratings: these as they are, else numbered, else eleven steps.

        Args:
            values: All ratings that the judge may give, ascending.
        """
        if all(float(value).is_integer() and 0 <= value <= MOST for value in values):
            steps = range(min(USUAL[0], int(values[0])), max(USUAL[-1], int(values[-1])) + 1)
            return cls(steps[0], steps[-1], tuple(steps))
        return cls(values[0], values[-1], tuple(range(min(len(values), MOST + 1))))

    @classmethod
    def from_bounds(cls, lowest: float, highest: float) -> "ArgillaScale":
        """Return the scale of any numbers between two; equal ones lie in its middle."""
        if lowest == highest:
            lowest, highest = lowest - 0.5, highest + 0.5
        return cls(lowest, highest, tuple(range(MOST + 1)))

    def on(self, steps: Sequence[int]) -> "ArgillaScale":
        """Return the same ratings on the steps that a dataset has already."""
        return replace(self, steps=tuple(sorted(steps)))

    @property
    def maps(self) -> bool:
        """Whether a step differs from the rating that it stands for."""
        return (self.lowest, self.highest) != (self.steps[0], self.steps[-1])

    @property
    def words(self) -> str | None:
        """Return the guideline on the steps; None where each is the rating itself."""
        if not self.maps:
            return None
        return (
            f"{self.steps[0]} is the worst ({self.lowest:g} on the judge's scale), "
            f"{self.steps[-1]} the best ({self.highest:g})."
        )

    def step_of(self, rating: float) -> int:
        """Return the step nearest to a rating, the upper one of two."""
        last = len(self.steps) - 1
        span = self.highest - self.lowest
        share = (rating - self.lowest) / span if span else 0.5
        return self.steps[max(0, min(last, math.floor(share * last + 0.5)))] if math.isfinite(share) else self.steps[0]

    def rating_of(self, step: float) -> float:
        """Return the rating that a step stands for."""
        last = len(self.steps) - 1
        place = min(range(last + 1), key=lambda index: abs(self.steps[index] - step))
        whole = self.lowest + place * (self.highest - self.lowest) / max(1, last)
        return self.highest if place == last else min(self.highest, float(whole))

    def read_back(self, steps: tuple[float, float], judged: Sequence[float | None]) -> tuple[float, float]:
        """Return the ratings in two steps that a person chose.

        A step that the judge's rating gave is that rating again, since the person did not change it. Where the other
        one was moved to the same step, the person says that both are equal, so both have it.

        Args:
            steps: What the person chose for each response.
            judged: What the judge gave them, None where it gave nothing.
        """
        kept = [
            rating if rating is not None and self.step_of(rating) == step else None
            for rating, step in zip(judged, steps, strict=True)
        ]
        known = [rating for rating in kept if rating is not None]
        if steps[0] == steps[1] and len(known) == 1:
            return known[0], known[0]
        one, other = (
            self.rating_of(step) if rating is None else rating for rating, step in zip(kept, steps, strict=True)
        )
        return one, other
