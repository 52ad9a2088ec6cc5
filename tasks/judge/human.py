"""Verdicts of people: ratings of an ordering of their own, which outrank every judge."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from kasasagi.tasks.pairing.candidates import Candidate

HUMAN = "human"
"""The ordering, and the aspect, of ratings that people gave."""


def prefer_human_ratings(
    candidates: Mapping[str, list[Candidate]], ratings: Sequence[Mapping[str, Any]]
) -> dict[str, list[Candidate]]:
    """Return the candidates, those of a prompt that people rated with people's ratings alone.

    Where all of them rated the same responses, each person counts as an order does: people who contradict each other
    make no pair. Otherwise a response has the mean of its ratings. A response without such a rating then has none.
    """
    rated: dict[str, dict[str, dict[str, list[float]]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for row in ratings:
        if row["ordering"] == HUMAN and row["rating"] is not None:
            rated[row["prompt_id"]][row["response_id"]][row["judge"]].append(row["rating"])
    return {
        prompt_id: [
            replace(
                one,
                ratings=_human_ratings(rated[prompt_id], one.response_id),
                votes=(),
                lacks_quorum=False,
                checked=False,
                rank=None,
            )
            for one in some
        ]
        if prompt_id in rated
        else some
        for prompt_id, some in candidates.items()
    }


def _human_ratings(
    by_response: Mapping[str, Mapping[str, Sequence[float]]], response_id: str
) -> tuple[float | None, ...]:
    """Return a response's ratings by people, in the order of their names; None for each who did not rate it."""
    people = sorted({person for by_person in by_response.values() for person in by_person})
    means = {person: sum(some) / len(some) for person, some in by_response.get(response_id, {}).items()}
    if all(len(by_person) == len(people) for by_person in by_response.values()):
        return tuple(means.get(person) for person in people)
    return (sum(means.values()) / len(means) if means else None,)
