"""From single marks to what a pair is made from: several aspects, judges and orders become one candidate a response."""

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from kasasagi.tasks.judge.config import ORDERINGS, JudgeConfig
from kasasagi.tasks.judge.groups import appearances, matches
from kasasagi.tasks.judge.human import prefer_human_ratings
from kasasagi.tasks.judge.verify.ranking import ids_to_rank, verdicts_in
from kasasagi.tasks.pairing.candidates import Candidate, combine, higher, reaches
from kasasagi.tasks.text.endings import is_cut_off

Marks = Mapping[tuple[str, str, str], Sequence[float]]
"""The ratings of one response by judge, ordering and aspect."""
FORMER_NAMES = {"turned": "swapped"}
"""Orderings by the names that ratings of earlier versions have."""
Ratings = Sequence[Mapping[str, Any]]
ByPrompt = Mapping[str, Sequence[Mapping[str, Any]]]
Table = Sequence[Sequence[float | None]]
"""The ratings of one response, a row for each order and in it a number for each judge; None where one is missing."""


@dataclass(frozen=True, slots=True)
class Aggregation:
    """How several ratings of a response become one number.

    Attributes:
        aspects: The mean of the aspects, the lowest of them, or their mean with these weights.
        judges: The mean or the median of the judges; majority is the mean, and more than half of the judges must agree
            on a pair.
        quorum: Number of judges that must have rated all responses to a prompt in every order; the others are ignored
            for it. None means all judges.
    """

    min_margin: float
    aspects: Literal["mean", "minimum"] | Mapping[str, float] = "mean"
    judges: Literal["mean", "median", "majority"] = "mean"
    quorum: int | None = None

    def to_rank(self) -> "Aggregation":
        """Return how ratings are combined where they only rank: any difference counts."""
        return replace(self, min_margin=0.0)

    def over_aspects(self, marks: Mapping[str, float]) -> float:
        """Return one judge's rating in one order, from its marks by aspect."""
        if self.aspects == "minimum":
            return min(marks.values())
        if self.aspects == "mean":
            return sum(marks.values()) / len(marks)
        weights = {aspect: self.aspects.get(aspect, 0.0) for aspect in marks}
        return sum(weights[aspect] * mark for aspect, mark in marks.items()) / sum(weights.values())

    def over_judges(self, ratings: Sequence[float | None]) -> float | None:
        """Return the rating in one order, from those of all judges; None where one of them is missing."""
        known = [rating for rating in ratings if rating is not None]
        if not known or len(known) < len(ratings):
            return None
        return statistics.median(known) if self.judges == "median" else sum(known) / len(known)


def candidates_by_prompt(
    judge: JudgeConfig | None,
    aggregation: Aggregation,
    responses: Iterable[Mapping[str, Any]],
    ratings: Iterable[Mapping[str, Any]],
) -> dict[str, list[Candidate]]:
    """Return the responses to each prompt with one rating for each order of the texts.

    A rating is None if a judge's rating of an aspect is missing in that order, so that an incomplete verdict makes no
    pair. Without judges there are no ratings. Ratings of people take precedence over those of all judges. Where answers
    are checked first, the rating is the checker's verdict, and the judges' ratings are the rank among equal verdicts.
    """
    by_prompt = by_prompt_id(responses)
    if judge is None:
        return {prompt_id: [_unrated_candidate(row) for row in rows] for prompt_id, rows in by_prompt.items()}
    ratings = list(ratings)
    judged = (_ranked if judge.ranks_correct else _judged)(judge, aggregation, by_prompt, ratings)
    return prefer_human_ratings(judged, ratings)


def _judged(
    judge: JudgeConfig, aggregation: Aggregation, by_prompt: ByPrompt, ratings: Ratings
) -> dict[str, list[Candidate]]:
    """Return the responses to each prompt with the judges' ratings."""
    marks = _marks(ratings)
    confirmed = _prompts_with_margin(judge, aggregation, by_prompt, marks) if judge.confirms else by_prompt
    return {
        prompt_id: _candidates(
            judge, aggregation, rows, marks, judge.orderings if prompt_id in confirmed else ORDERINGS[:1]
        )
        for prompt_id, rows in by_prompt.items()
    }


def _ranked(
    judge: JudgeConfig, aggregation: Aggregation, by_prompt: ByPrompt, ratings: Ratings
) -> dict[str, list[Candidate]]:
    """Return the responses to each prompt with their verdicts, and as rank the judges' ratings of correct ones."""
    verdicts, shown = verdicts_in(ratings), ids_to_rank(ratings)
    some = {name: [row for row in rows if row["response_id"] in shown] for name, rows in by_prompt.items()}
    judged = _judged(judge, aggregation.to_rank(), {name: rows for name, rows in some.items() if rows}, ratings)
    ranks = {one.response_id: one.rating for candidates in judged.values() for one in candidates}

    def checked(row: Mapping[str, Any]) -> Candidate:
        name = row["response_id"]
        return replace(_unrated_candidate(row), ratings=(verdicts.get(name),), checked=True, rank=ranks.get(name))

    return {prompt_id: [checked(row) for row in rows] for prompt_id, rows in by_prompt.items()}


def to_confirm(
    judge: JudgeConfig,
    aggregation: Aggregation,
    responses: Iterable[Mapping[str, Any]],
    ratings: Iterable[Mapping[str, Any]],
) -> set[str]:
    """Return the prompts whose first order leaves the margin that a pair needs, so that the second must be asked."""
    return _prompts_with_margin(judge, aggregation, by_prompt_id(responses), _marks(ratings))


def leaves_margin(candidates: Sequence[Candidate], min_margin: float) -> bool:
    """Return whether a finished response is rated higher than another by at least the margin, and by more
    than nothing.
    """
    rated = [(one, one.rating) for one in candidates]
    known = [rating for _, rating in rated if rating is not None]
    finished = [rating for one, rating in rated if rating is not None and not is_cut_off(one.finish_reason)]
    if len(known) < 2 or not finished:
        return False
    best, worst = max(finished), min(known)
    return higher(best, worst) and reaches(best, worst + min_margin)


def by_prompt_id(responses: Iterable[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Return some responses by their prompt's id, in their order."""
    by_prompt: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in responses:
        by_prompt[row["prompt_id"]].append(row)
    return by_prompt


def _marks(ratings: Iterable[Mapping[str, Any]]) -> dict[str, Marks]:
    marks: dict[str, dict[tuple[str, str, str], list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in ratings:
        ordering = FORMER_NAMES.get(row["ordering"], row["ordering"])
        marks[row["response_id"]][row["judge"], ordering, row["aspect"]].append(row["rating"])
    return {response_id: dict(of_this) for response_id, of_this in marks.items()}


def _prompts_with_margin(
    judge: JudgeConfig,
    aggregation: Aggregation,
    by_prompt: Mapping[str, Sequence[Mapping[str, Any]]],
    marks: Mapping[str, Marks],
) -> set[str]:
    first = ORDERINGS[:1]
    return {
        prompt_id
        for prompt_id, rows in by_prompt.items()
        if leaves_margin(_candidates(judge, aggregation, rows, marks, first), aggregation.min_margin)
    }


def _candidates(
    judge: JudgeConfig,
    aggregation: Aggregation,
    rows: Sequence[Mapping[str, Any]],
    marks: Mapping[str, Marks],
    orderings: Sequence[str],
) -> list[Candidate]:
    """Return the responses of one prompt, each with its rating in each order."""
    wanted = _required_ratings(judge, rows)
    tables = {
        name: _Required(judge, aggregation, orderings, count).table(marks.get(name, {}))
        for name, count in wanted.items()
    }
    judges = _counted_judges(aggregation, [tables[name] for name, count in wanted.items() if count])
    made = [_candidate(aggregation, row, tables[row["response_id"]], judges) for row in rows]
    return [replace(one, checked=True) for one in made] if judge.verifies else made


def _counted_judges(aggregation: Aggregation, tables: Sequence[Table]) -> Sequence[int] | None:
    """Whose ratings count for a prompt: everybody's, or of those who rated all of it; None if they are too few.

    So all responses of a prompt are compared by the same judges, even if some judges are missing.
    """
    everybody = range(len(tables[0][0])) if tables else ()
    if aggregation.quorum is None:
        return everybody
    present = [index for index in everybody if all(row[index] is not None for table in tables for row in table)]
    return present if len(present) >= aggregation.quorum else None


def _required_ratings(judge: JudgeConfig, rows: Sequence[Mapping[str, Any]]) -> Mapping[str, int]:
    """Return how many marks each response must have from a judge in an order: one, or one for each of its matches."""
    names = sorted(row["response_id"] for row in rows)
    if judge.method != "pairwise":
        return dict.fromkeys(names, 1)
    prompt_id = rows[0]["prompt_id"]
    return dict(zip(names, appearances(matches(prompt_id, len(names), judge.matches), len(names)), strict=True))


@dataclass(frozen=True, slots=True)
class _Required:
    """What a response must have: whose marks, in which orders, and how many of each."""

    judge: JudgeConfig
    aggregation: Aggregation
    orderings: Sequence[str]
    wanted: int

    def table(self, marks: Marks) -> Table:
        """Return the rating of each judge, for each order."""
        return [[self.rating(marks, vote.name, name) for vote in self.judge.votes] for name in self.orderings]

    def rating(self, marks: Marks, judge: str, ordering: str) -> float | None:
        """Return one judge's rating in one order, over all aspects; None if any of its marks is missing."""
        found = {aspect: marks.get((judge, ordering, aspect), ()) for aspect in self.judge.criteria}
        if not self.wanted or any(len(some) != self.wanted for some in found.values()):
            return None
        return self.aggregation.over_aspects({aspect: sum(some) / len(some) for aspect, some in found.items()})


def _candidate(
    aggregation: Aggregation, row: Mapping[str, Any], table: Table, judges: Sequence[int] | None
) -> Candidate:
    """Return one response with its rating in each order, and each judge's own where a majority is asked for."""
    if judges is None:
        return replace(_unrated_candidate(row), ratings=(None,) * len(table), lacks_quorum=True)
    counted = [[in_order[index] for index in judges] for in_order in table]
    ratings = tuple(aggregation.over_judges(in_order) for in_order in counted)
    votes = (
        tuple(combine(by_judge) for by_judge in zip(*counted, strict=True)) if aggregation.judges == "majority" else ()
    )
    return replace(_unrated_candidate(row), ratings=ratings, votes=votes)


def _unrated_candidate(row: Mapping[str, Any]) -> Candidate:
    return Candidate(row["response_id"], row["model"], row["content"], (), row["finish_reason"], row.get("thinking"))
