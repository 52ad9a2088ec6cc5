"""Several aspects, judges and orders become one rating a response; what is missing is never made up."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasasagi.tasks.format_dpo.config import PairsConfig
from kasasagi.tasks.judge.config import JudgeConfig
from kasasagi.tasks.judge.votes import Aggregation, candidates_by_prompt, to_confirm
from tests.tasks.helpers import pairs_from, prompt, response

QUESTION = prompt("What is a magpie?")
GOOD, BAD = response(QUESTION, 1), response(QUESTION, 2)
TWO = ["helpfulness", "honesty"]


def config(**fields: Any) -> JudgeConfig:
    named = {} if "models" in fields else {"model": "critic"}
    return JudgeConfig.model_validate({**named, **fields})


def mark(row: dict[str, Any], rating: float, **fields: Any) -> dict[str, Any]:
    usual = {"judge": "critic", "ordering": "first", "aspect": "overall-rating"}
    return {"response_id": row["response_id"], "rating": rating, **usual, **fields}


def rated(judge: JudgeConfig, aggregation: Aggregation, marks: list[dict[str, Any]]) -> list[tuple[float | None, ...]]:
    found = candidates_by_prompt(judge, aggregation, [GOOD, BAD], marks)
    return [candidate.ratings for candidate in found[QUESTION["prompt_id"]]]


def outcome(judge: JudgeConfig, marks: list[dict[str, Any]], **pairs: Any) -> str:
    """`pair`, or the reason why there is none."""
    result = pairs_from(PairsConfig.model_validate(pairs), judge, [QUESTION], [GOOD, BAD], marks)
    return "pair" if result.rows["pairs"] else str(result.rows["quarantine"][0]["reason"])


@pytest.mark.parametrize(
    ("aspects", "wanted"),
    [
        ("mean", (3.5, 3.0)),
        ("minimum", (2.0, 3.0)),
        ({"helpfulness": 3, "honesty": 1}, (4.25, 3.0)),
        ({"helpfulness": 0, "honesty": 1}, (2.0, 3.0)),
    ],
)
def test_aspects_are_combined_as_the_recipe_says(aspects: Any, wanted: tuple[float, float]) -> None:
    judge = config(orders="random", aspects=TWO)
    marks = [mark(GOOD, 5, aspect=TWO[0]), mark(GOOD, 2, aspect=TWO[1])]
    marks += [mark(BAD, 3, aspect=TWO[0]), mark(BAD, 3, aspect=TWO[1])]
    assert rated(judge, Aggregation(1.0, aspects), marks) == [(wanted[0],), (wanted[1],)]
    assert rated(judge, Aggregation(1.0, aspects), marks[1:]) == [(None,), (wanted[1],)]


THREE = [*TWO, "truthfulness"]
MARKS = st.tuples(*[st.integers(1, 5)] * 3)


@given(MARKS, MARKS, st.sampled_from([(1, 2, 7), (3, 3, 4), (1, 1, 1)]), st.integers(0, 20))
def test_rounding_makes_no_pair_and_costs_none(
    good: tuple[int, ...], bad: tuple[int, ...], tenths: tuple[int, ...], margin: int
) -> None:
    judge = config(orders="random", aspects=THREE)
    marks = [
        mark(row, value, aspect=name)
        for row, values in ((GOOD, good), (BAD, bad))
        for name, value in zip(THREE, values, strict=True)
    ]
    one, other = (
        Fraction(sum(n * value for n, value in zip(tenths, some, strict=True)), sum(tenths)) for some in (good, bad)
    )
    far = abs(one - other)
    wanted = "tie" if not far else "pair" if far >= Fraction(margin, 10) else "below_margin"
    weights = dict(zip(THREE, (n / 10 for n in tenths), strict=True))
    assert outcome(judge, marks, aspects=weights, min_margin=margin / 10) == wanted
    asked = to_confirm(config(orders="confirm", aspects=THREE), Aggregation(margin / 10, weights), [GOOD, BAD], marks)
    assert bool(asked) == (wanted == "pair")


def test_three_judges_that_all_see_one_point_are_one_point_apart() -> None:
    judge = config(models=["a", "b", "c"], orders="random")
    marks = [mark(GOOD, rating, judge=name) for name, rating in zip("abc", (5, 4, 4), strict=True)]
    marks += [mark(BAD, rating, judge=name) for name, rating in zip("abc", (4, 3, 3), strict=True)]
    assert outcome(judge, marks, min_margin=1) == "pair"
    assert outcome(judge, marks, min_margin=1, min_chosen_rating=13 / 3) == "pair"
    assert outcome(judge, marks, min_margin=1.01) == "below_margin"


@pytest.mark.parametrize(("judges", "wanted"), [("mean", 3.0), ("median", 4.0), ("majority", 3.0)])
def test_judges_are_combined_as_the_recipe_says(judges: Any, wanted: float) -> None:
    judge = config(models=["a", "b", "c"], orders="random")
    marks = [mark(GOOD, rating, judge=name) for name, rating in zip("abc", (4, 4, 1), strict=True)]
    marks += [mark(BAD, 2, judge=name) for name in "abc"]
    assert rated(judge, Aggregation(1.0, judges=judges), marks) == [(wanted,), (2.0,)]
    assert rated(judge, Aggregation(1.0, judges=judges), marks[1:]) == [(None,), (2.0,)]


def test_a_pair_needs_more_than_half_of_the_judges_where_a_majority_is_asked_for() -> None:
    judge = config(models=["a", "b", "c", "d"], orders="random")

    def marks(*good: float) -> list[dict[str, Any]]:
        return [mark(GOOD, rating, judge=name) for name, rating in zip("abcd", good, strict=True)] + [
            mark(BAD, 2, judge=name) for name in "abcd"
        ]

    assert outcome(judge, marks(5, 5, 3, 2), judges="majority") == "pair"
    assert outcome(judge, marks(5, 5, 2, 2), judges="majority") == "no_majority"
    assert outcome(judge, marks(5, 5, 2, 2), judges="mean") == "pair"


def by(name: str, good: float | None, bad: float | None, **fields: Any) -> list[dict[str, Any]]:
    """One judge's marks of both responses, where it gave any."""
    both = ((GOOD, good), (BAD, bad))
    return [mark(row, rating, judge=name, **fields) for row, rating in both if rating is not None]


def test_a_quorum_of_judges_makes_a_pair_where_one_is_missing() -> None:
    judge = config(models=["a", "b", "c"], orders="random")
    two, one = [*by("a", 5, 1), *by("b", 4, 2)], by("a", 5, 1)
    assert outcome(judge, two) == "missing_rating"
    assert outcome(judge, two, quorum=2) == "pair"
    assert outcome(judge, one, quorum=2) == "no_quorum"
    assert outcome(judge, one, quorum=1) == "pair"
    assert outcome(judge, [], quorum=1) == "no_quorum"
    assert outcome(judge, [*two, *by("c", 1, 5)], quorum=2, min_margin=2.5) == "below_margin"
    assert outcome(judge, two, quorum=3) == "no_quorum"


def test_both_responses_are_held_against_the_same_judges() -> None:
    judge = config(models=["mild", "strict", "late"], orders="random")
    marks = [*by("mild", 3, 4), *by("strict", 1, 2), *by("late", 5, None)]
    assert rated(judge, Aggregation(1.0, quorum=2), marks) == [(2.0,), (3.0,)]


def test_a_judge_that_cannot_be_read_in_one_order_has_no_say_in_the_other() -> None:
    judge = config(models=["a", "b"], orders="both")
    marks = [*by("a", 4, 3), *by("a", 4, 3, ordering="swapped"), *by("b", 1, 5)]
    assert rated(judge, Aggregation(1.0, quorum=1), marks) == [(4.0, 4.0), (3.0, 3.0)]
    assert outcome(judge, marks, quorum=1) == "pair"


def test_a_majority_is_of_the_judges_that_are_there() -> None:
    judge = config(models=["a", "b", "c", "d"], orders="random")
    marks = [*by("a", 5, 1), *by("b", 3, 2), *by("c", 2, 3)]
    assert outcome(judge, marks, judges="majority", quorum=3) == "pair"
    assert outcome(judge, [*marks, *by("d", 2, 3)], judges="majority", quorum=3, min_margin=0.5) == "no_majority"


def test_the_second_order_is_asked_where_a_quorum_leaves_the_margin() -> None:
    judge, marks = config(models=["a", "b"], orders="confirm"), by("a", 5, 1)
    assert to_confirm(judge, Aggregation(1.0), [GOOD, BAD], marks) == set()
    assert to_confirm(judge, Aggregation(1.0, quorum=1), [GOOD, BAD], marks) == {QUESTION["prompt_id"]}
    assert to_confirm(judge, Aggregation(1.0, quorum=2), [GOOD, BAD], marks) == set()


def test_a_judge_that_flips_with_the_order_is_outvoted_and_two_orders_that_flip_make_no_pair() -> None:
    judge = config(models=["a", "b"], orders="both")

    def marks(first: tuple[int, int], turned: tuple[int, int]) -> list[dict[str, Any]]:
        orders = (("first", first), ("swapped", turned))
        good = [mark(GOOD, r, judge=n, ordering=o) for o, some in orders for n, r in zip("ab", some, strict=True)]
        return [*good, *(mark(BAD, 3, judge=n, ordering=o) for o, _ in orders for n in "ab")]

    assert outcome(judge, marks((5, 5), (5, 2))) == "pair"
    assert outcome(judge, marks((5, 5), (2, 3))) == "order_flip"
    assert outcome(judge, marks((5, 5), (5, 2))[1:]) == "missing_rating"


def test_ratings_of_earlier_versions_call_the_swapped_order_turned() -> None:
    first = [mark(GOOD, 4), mark(BAD, 2)]
    before = [mark(GOOD, 4, ordering="turned"), mark(BAD, 2, ordering="turned")]
    assert outcome(config(orders="both"), first) == "missing_rating"
    assert outcome(config(orders="both"), [*first, *before]) == "pair"


def test_a_margin_in_the_first_order_must_be_confirmed_and_less_needs_nothing() -> None:
    judge = config(orders="confirm")
    wide, narrow = [mark(GOOD, 4), mark(BAD, 2)], [mark(GOOD, 3), mark(BAD, 2)]
    turned = [mark(GOOD, 4, ordering="swapped"), mark(BAD, 3, ordering="swapped")]
    assert outcome(judge, wide, min_margin=1.5) == "missing_rating"
    assert outcome(judge, [*wide, *turned], min_margin=1.5) == "pair"
    assert outcome(judge, narrow, min_margin=1.5) == "below_margin"
    assert outcome(judge, [*narrow, *turned], min_margin=1.5) == "below_margin"
    assert outcome(judge, [mark(GOOD, 2), mark(BAD, 2)], min_margin=0) == "tie"
    flipped = [mark(GOOD, 1, ordering="swapped"), mark(BAD, 2, ordering="swapped")]
    assert outcome(judge, [*wide, *flipped], min_margin=0.5) == "order_flip"


def test_only_what_could_make_a_pair_is_asked_in_the_second_order() -> None:
    judge, aggregation = config(orders="confirm"), Aggregation(1.0)
    cut = {**GOOD, "finish_reason": "length"}
    asked = {QUESTION["prompt_id"]}
    assert to_confirm(judge, aggregation, [GOOD, BAD], [mark(GOOD, 3), mark(BAD, 2)]) == asked
    assert to_confirm(judge, aggregation, [GOOD, BAD], [mark(GOOD, 3)]) == set()
    assert to_confirm(judge, aggregation, [cut, BAD], [mark(GOOD, 3), mark(BAD, 2)]) == set()
    assert to_confirm(judge, aggregation, [cut, BAD], [mark(GOOD, 3), mark(BAD, 4)]) == asked


RATINGS = st.integers(1, 5)


@given(first=st.tuples(RATINGS, RATINGS), turned=st.tuples(RATINGS, RATINGS), margin=st.sampled_from([0, 0.5, 1, 2]))
def test_confirm_never_makes_a_pair_that_both_orders_would_not_make(
    first: tuple[int, int], turned: tuple[int, int], margin: float
) -> None:
    marks = [mark(GOOD, first[0]), mark(BAD, first[1])]
    marks += [mark(GOOD, turned[0], ordering="swapped"), mark(BAD, turned[1], ordering="swapped")]
    both = outcome(config(orders="both"), marks, min_margin=margin)
    confirmed = outcome(config(orders="confirm"), marks, min_margin=margin)
    assert confirmed in (both, "tie", "below_margin")


def test_without_a_judge_nobody_is_rated() -> None:
    found = candidates_by_prompt(None, Aggregation(1.0), [GOOD, BAD], [])
    assert [candidate.ratings for candidate in found[QUESTION["prompt_id"]]] == [(), ()]
