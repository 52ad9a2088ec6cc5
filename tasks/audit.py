"""What the judges say of a dataset's own labels: which of its two responses is the better one."""

from collections.abc import Mapping, Sequence
from typing import Any

from kasasagi.tasks.pairing.candidates import Candidate, higher


def audit(rated: Mapping[str, Sequence[Candidate]], source_labels: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a row for each label (one response is better), with both ratings and the verdict.

    rated holds the candidates by prompt_id. The verdict is agrees, disagrees, tie or unrated.
    """
    by_id = {one.response_id: one for some in rated.values() for one in some}
    return [_row(label, by_id[label["chosen_id"]], by_id[label["rejected_id"]]) for label in source_labels]


def _row(label: Mapping[str, Any], chosen: Candidate, rejected: Candidate) -> dict[str, Any]:
    ratings = {"chosen_rating": chosen.rating, "rejected_rating": rejected.rating}
    return {**label, **ratings, "verdict": verdict_on(chosen, rejected)}


def verdict_on(chosen: Candidate, rejected: Candidate) -> str:
    """Return whether the judges, too, rate the chosen response higher; a verdict that flips with the order is a tie."""
    if chosen.rating is None or rejected.rating is None:
        return "unrated"
    both = list(zip(chosen.ratings, rejected.ratings, strict=True))
    better = any(higher(a, b) for a, b in both if a is not None and b is not None)
    worse = any(higher(b, a) for a, b in both if a is not None and b is not None)
    if better == worse:
        return "tie"
    return "agrees" if better else "disagrees"
