"""Pairs: the chosen response is better, by the margin and in no order worse, or there is a reason for no pair."""

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.pairing import Candidate, Dropped, Pair, best_vs_worst, combine


def candidate(name: str, *ratings: float | None, text: str | None = None, finish: str = "stop") -> Candidate:
    return Candidate(name, f"model-{name}", f"text {name}" if text is None else text, ratings, finish)


def reason(*candidates: Candidate, min_margin: float = 1) -> str:
    outcome = best_vs_worst(candidates, min_margin)
    assert isinstance(outcome, Dropped)
    assert outcome.detail
    return outcome.reason


def test_the_best_stands_over_the_worst() -> None:
    pair = best_vs_worst([candidate("a", 3), candidate("b", 5), candidate("c", 1)], 1)
    assert isinstance(pair, Pair)
    assert (pair.chosen.response_id, pair.rejected.response_id) == ("b", "c")
    assert (pair.chosen_rating, pair.rejected_rating, pair.margin) == (5, 1, 4)


def test_both_orders_count_alike() -> None:
    pair = best_vs_worst([candidate("a", 5, 3), candidate("b", 4, 4), candidate("c", 3, 2), candidate("d", 2, 4)], 1)
    assert isinstance(pair, Pair)
    assert (pair.chosen.response_id, pair.rejected.response_id, pair.margin) == ("a", "c", 1.5)


def test_better_in_one_order_and_equal_in_the_other_is_better() -> None:
    pair = best_vs_worst([candidate("a", 5, 3), candidate("b", 3, 3)], 1)
    assert isinstance(pair, Pair)
    assert pair.margin == 1.0


@pytest.mark.parametrize(
    ("candidates", "wanted"),
    [
        ([], "too_few_responses"),
        ([candidate("a", 5)], "too_few_responses"),
        ([candidate("a", 5), candidate("b", None)], "missing_rating"),
        ([candidate("a", 5), candidate("b", math.nan)], "missing_rating"),
        ([candidate("a", 5), candidate("b", math.inf)], "missing_rating"),
        ([candidate("a", 5), candidate("b")], "missing_rating"),
        ([candidate("a", 5, 4), candidate("b", 1, None)], "missing_rating"),
        ([candidate("a", 5, 4), candidate("b", 1)], "missing_rating"),
        ([candidate("a", 3), candidate("b", 3)], "tie"),
        ([candidate("a", 5, 2), candidate("b", 2, 5)], "order_flip"),
        ([candidate("a", 5, 2), candidate("b", 1, 3)], "order_flip"),
        ([candidate("a", 4, 4), candidate("b", 4, 3)], "below_margin"),
        ([candidate("a", 5), candidate("b", 1, text=" text a\n")], "identical_texts"),
        ([candidate("a", 5, finish="length"), candidate("b", 1, finish="length")], "no_finished_response"),
        ([candidate("a", 5, finish="length"), candidate("b", 3)], "tie"),
    ],
)
def test_no_pair_has_a_reason(candidates: list[Candidate], wanted: str) -> None:
    assert reason(*candidates) == wanted


def test_an_unrated_response_does_not_cost_the_others_their_pair() -> None:
    pair = best_vs_worst([candidate("a", 5), candidate("b", None), candidate("c", 2)], 1)
    assert isinstance(pair, Pair)
    assert {pair.chosen.response_id, pair.rejected.response_id} == {"a", "c"}


def test_a_truncated_answer_may_be_rejected_but_never_chosen() -> None:
    pair = best_vs_worst([candidate("a", 5, finish="length"), candidate("b", 4), candidate("c", 1, finish="length")], 1)
    assert isinstance(pair, Pair)
    assert (pair.chosen.response_id, pair.rejected.response_id) == ("b", "c")


def test_a_flip_between_best_and_worst_tries_no_other_pair() -> None:
    assert reason(candidate("a", 5, 3), candidate("b", 4, 3), candidate("c", 1, 4)) == "order_flip"


def test_a_tie_is_no_pair_even_without_a_margin() -> None:
    assert reason(candidate("a", 3), candidate("b", 3), min_margin=-1) == "tie"
    assert reason(candidate("a", 4), candidate("b", 3), min_margin=math.nan) == "below_margin"


@pytest.mark.parametrize(
    ("ratings", "mean"),
    [
        ((math.inf, -math.inf), None),
        ((10**400,), None),
        ((4,), 4.0),
        ((4, 5), 4.5),
        ((), None),
        ((4, None), None),
        ((math.nan,), None),
        ((1e308, 1e308), None),
    ],
)
def test_ratings_of_several_orders_are_averaged(ratings: tuple[float | None, ...], mean: float | None) -> None:
    assert combine(ratings) == mean


RATING = st.one_of(st.none(), st.floats(), st.integers(1, 5).map(float), st.integers(1, 5).map(float))
CANDIDATES = st.lists(
    st.builds(
        Candidate,
        response_id=st.uuids().map(str),
        model=st.sampled_from(["m", "n"]),
        content=st.sampled_from(["x", "y ", "y", "z", ""]),
        ratings=st.lists(RATING, max_size=2).map(tuple),
        finish_reason=st.sampled_from(["stop", "length", None]),
    ),
    max_size=5,
)


@given(CANDIDATES, st.floats(), st.randoms())
def test_a_pair_means_what_it_says(candidates: list[Candidate], min_margin: float, random: Random) -> None:
    outcome = best_vs_worst(candidates, min_margin)
    shuffled = list(candidates)
    random.shuffle(shuffled)
    assert best_vs_worst(shuffled, min_margin) == outcome
    if isinstance(outcome, Pair):
        assert outcome.chosen.content.strip() != outcome.rejected.content.strip()
        assert outcome.chosen_rating - outcome.rejected_rating == outcome.margin
        assert outcome.margin > 0
        assert outcome.margin >= min_margin
        assert outcome.chosen.finish_reason != "length"
        orders = zip(outcome.chosen.ratings, outcome.rejected.ratings, strict=True)
        assert all(a is not None and b is not None and a >= b for a, b in orders)


@given(st.permutations(["a", "b", "c", "d"]), st.permutations(["a", "b", "c", "d"]))
def test_equals_are_told_apart_by_id_not_by_place(names: list[str], again: list[str]) -> None:
    rated = {"a": 5, "b": 5, "c": 1, "d": 1}
    pairs = [best_vs_worst([candidate(name, rated[name]) for name in order], 1) for order in (names, again)]
    assert pairs[0] == pairs[1]
    assert isinstance(pairs[0], Pair)
    assert (pairs[0].chosen.response_id, pairs[0].rejected.response_id) == ("a", "c")
