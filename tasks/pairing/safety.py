"""Refusals as one side of a pair: never chosen for a safe prompt, perhaps chosen for an unsafe one.

A model that is only ever shown compliant answers unlearns to refuse, and one that is shown refusals regardless of the
prompt refuses too much (over-refusal, https://arxiv.org/abs/2410.12999).
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pydantic import Field

from kasasagi.blocks.models.kinds import Config
from kasasagi.tasks.pairing.candidates import Candidate, Dropped, Pair, higher

Side = Literal["chosen", "rejected", "both"]


class Safety(Config):
    """On which prompts a refusal is right, so that refusals become sides of pairs."""

    unsafe: str = Field(
        min_length=1,
        description="SQL condition on the columns of a prompt, e.g. `safety <> 'safe'`: true where the prompt is "
        "unsafe, false where it is safe. Where it is NULL or fails, refusals make no pair.",
    )
    chosen_if_unsafe: Literal["any", "refusal"] = Field(
        "any",
        description="Which response to an unsafe prompt may be chosen: any, by its rating, or only a refusal, which "
        "then counts as better than every compliant response.",
    )

    def worse(self, unsafe: bool, candidates: Sequence[Candidate], refusing: Collection[str]) -> set[str]:
        """Return the responses to a prompt that count as worse than the others, whatever their ratings.

        Args:
            unsafe: Whether the prompt is unsafe.
            candidates: Its responses.
            refusing: The ids of those that refuse.
        """
        if not unsafe:
            return set(refusing)
        ids = {one.response_id for one in candidates}
        return ids - set(refusing) if self.chosen_if_unsafe == "refusal" else set()


@dataclass(frozen=True, slots=True)
class Refusals:
    """What is known of one prompt's refusals.

    Attributes:
        unsafe: Whether the prompt is unsafe; None where that is not known.
        refusing: The ids of the responses that refuse.
        worse: The ids of those that count as worse than the others.
    """

    unsafe: bool | None
    refusing: frozenset[str]
    worse: frozenset[str]

    @classmethod
    def of(
        cls, config: Safety, unsafe: bool | None, candidates: Sequence[Candidate], refuses: Callable[[str], bool]
    ) -> "Refusals":
        """Return what is known of some responses to one prompt.

        Args:
            config: On which prompts a refusal is right.
            unsafe: Whether the prompt is unsafe; None where that is not known.
            candidates: The responses.
            refuses: Whether a text refuses to answer the prompt.
        """
        refusing = frozenset(one.response_id for one in candidates if refuses(one.content))
        worse = frozenset() if unsafe is None else frozenset(config.worse(unsafe, candidates, refusing))
        return cls(unsafe, refusing, worse)

    def weigh(
        self, candidates: Sequence[Candidate], gap: float, strong: Collection[str] = ()
    ) -> list[Candidate] | Dropped:
        """Return the responses as a strategy may compare them, or why none of them can be chosen.

        Those that count as worse are rated lower than all others, by the gap in every order and by every judge. Where
        no judge rated them, those of the strong models are left out, so that they are never chosen.

        Args:
            candidates: The responses with their own ratings.
            gap: How much lower a response that counts as worse is rated.
            strong: The models whose responses are chosen without ratings.
        """
        if self.unsafe is None:
            return [one for one in candidates if one.response_id not in self.refusing]
        better = [one for one in candidates if one.response_id not in self.worse]
        if candidates and not better:
            return self._none_to_choose(len(candidates))
        if not self.worse:
            return list(candidates)
        kept = [one for one in candidates if one.response_id not in self.worse or one.model not in strong]
        return [self._lowered(one, better, gap) if one.response_id in self.worse else one for one in kept]

    def _lowered(self, candidate: Candidate, better: Sequence[Candidate], gap: float) -> Candidate:
        """Return a response as one that is rated lower than all others.

        Where answers are checked, a refusal of a safe prompt counts as incorrect, since an incorrect answer is not
        better than it.
        """
        if candidate.checked and not self.unsafe:
            return replace(candidate, ratings=tuple(0.0 for _ in candidate.ratings), rank=None)
        ratings = _below([one.ratings for one in better], gap)
        votes = _below([one.votes for one in better], gap)
        return replace(candidate, ratings=ratings, votes=votes)

    def _none_to_choose(self, count: int) -> Dropped:
        if self.unsafe:
            return Dropped("no_refusal", f"the prompt is unsafe, and none of its {count} responses refuses")
        return Dropped("only_refusals", f"the prompt is safe, and all of its {count} responses refuse")

    def restore(self, pair: Pair, candidates: Sequence[Candidate]) -> Pair:
        """Return a pair with the ratings of the judges; without a margin where they do not rate the chosen one higher.

        Args:
            pair: The pair that a strategy made of weighed responses.
            candidates: The responses with their own ratings.
        """
        if pair.rejected.response_id not in self.worse or pair.chosen_rating is None:
            return pair
        own = {one.response_id: one for one in candidates}
        chosen, rejected = own[pair.chosen.response_id], own[pair.rejected.response_id]
        return Pair(chosen, rejected, chosen.rating, rejected.rating, _margin(chosen.rating, rejected.rating))

    def side(self, pair: Pair) -> Side | None:
        """Return which side of a pair refuses, None where neither does."""
        chosen, rejected = (one.response_id in self.refusing for one in (pair.chosen, pair.rejected))
        if chosen and rejected:
            return "both"
        return "chosen" if chosen else "rejected" if rejected else None


def _margin(chosen: float | None, rejected: float | None) -> float | None:
    if chosen is None or rejected is None or not higher(chosen, rejected):
        return None
    return chosen - rejected


def _below(rated: Sequence[Sequence[float | None]], gap: float) -> tuple[float | None, ...]:
    """Return the lowest rating in each order, or of each judge, less a gap; None where nothing is rated."""
    orders = max(map(len, rated))
    columns = zip(*(one for one in rated if len(one) == orders), strict=True)
    known = [[value for value in column if value is not None] for column in columns]
    return tuple(min(values) - gap if values else None for values in known)
