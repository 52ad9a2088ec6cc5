"""Pairs: the chosen response is better, by the margin and in no order worse, or there is a reason for no pair."""

import math
from collections import Counter
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasasagi.tasks.pairing import (
    Candidate,
    Conditions,
    Dropped,
    Pair,
    all_above_margin,
    best_vs_random,
    best_vs_worst,
    broken_condition,
    combine,
    sigma,
    similarity,
    strong_vs_weak,
)


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


NOTHING = Conditions()
DRAWN = {
    "best_vs_worst": best_vs_worst,
    "best_vs_random": lambda some, margin: best_vs_random("prompt", some, margin),
    "sigma": sigma,
    "all_above_margin": lambda some, margin: all_above_margin(some, margin, NOTHING),
}


def pairs_in(outcome: Pair | list[Pair] | Dropped) -> list[Pair]:
    if isinstance(outcome, Dropped):
        assert outcome.detail
        return []
    return outcome if isinstance(outcome, list) else [outcome]


def ids(pair: Pair) -> tuple[str, str]:
    return pair.chosen.response_id, pair.rejected.response_id


@pytest.mark.parametrize("strategy", DRAWN)
@given(CANDIDATES, st.floats(), st.randoms())
def test_every_rated_pair_keeps_the_promises(
    strategy: str, candidates: list[Candidate], min_margin: float, random: Random
) -> None:
    outcome = DRAWN[strategy](candidates, min_margin)
    shuffled = list(candidates)
    random.shuffle(shuffled)
    assert DRAWN[strategy](shuffled, min_margin) == outcome
    for pair in pairs_in(outcome):
        assert pair.chosen_rating is not None
        assert pair.rejected_rating is not None
        assert pair.margin == pair.chosen_rating - pair.rejected_rating > 0
        assert pair.margin >= min_margin
        assert pair.chosen.content.strip() != pair.rejected.content.strip()
        assert pair.chosen.finish_reason != "length"
        orders = zip(pair.chosen.ratings, pair.rejected.ratings, strict=True)
        assert all(a is not None and b is not None and a >= b for a, b in orders)


@given(CANDIDATES, st.floats(0, 4))
def test_where_one_pair_is_made_all_pairs_hold_it_or_its_texts(candidates: list[Candidate], min_margin: float) -> None:
    everything = all_above_margin(candidates, min_margin, NOTHING)
    texts = {(pair.chosen.content.strip(), pair.rejected.content.strip()) for pair in pairs_in(everything)}
    contradicted = isinstance(everything, Dropped) and everything.reason == "contradicting_pairs"
    rates: dict[str, set[float | None]] = {}
    for one in candidates:
        rates.setdefault(one.content.strip(), set()).add(one.rating)
    for strategy in ("best_vs_worst", "best_vs_random", "sigma"):
        for pair in pairs_in(DRAWN[strategy](candidates, min_margin)):
            sides = (pair.chosen.content.strip(), pair.rejected.content.strip())
            assert sides in texts or contradicted or any(len(rates[side]) > 1 for side in sides)


def test_the_random_one_is_drawn_by_the_prompt_and_a_further_response_changes_little() -> None:
    some = [candidate("a", 5), *(candidate(name, 1) for name in "bcdefgh")]
    drawn = {}
    for number in range(200):
        outcome = best_vs_random(f"prompt {number}", some, 1)
        assert isinstance(outcome, Pair)
        assert outcome.chosen.response_id == "a"
        drawn[number] = outcome.rejected.response_id
    counts = Counter(drawn.values())
    assert set(counts) == set("bcdefgh")
    assert max(counts.values()) < 60
    for number, name in drawn.items():
        again = best_vs_random(f"prompt {number}", [*some, candidate("z", 1)], 1)
        assert isinstance(again, Pair)
        assert again.rejected.response_id in (name, "z")


def test_a_random_one_that_ties_with_the_best_is_no_pair() -> None:
    assert isinstance(best_vs_random("p", [candidate("a", 5), candidate("b", 5)], 1), Dropped)


def test_sigma_leaves_the_freak_and_takes_the_one_two_deviations_down() -> None:
    ratings = [5, 5, 4.5, 4, 4, 4, 3.5, 3.5, 3, 2.2, 1]
    some = [candidate(f"{place:02}", rating) for place, rating in enumerate(ratings)]
    mean = sum(ratings) / len(ratings)
    deviation = (sum((rating - mean) ** 2 for rating in ratings) / len(ratings)) ** 0.5
    wanted = min(ratings[1:], key=lambda rating: abs(rating - (mean - 2 * deviation)))
    pair = sigma(some, 1)
    assert isinstance(pair, Pair)
    assert (pair.chosen_rating, pair.rejected_rating) == (5, wanted) == (5, 1)
    nearer = sigma(some, 1, deviations=1)
    assert isinstance(nearer, Pair)
    assert nearer.rejected_rating == 2.2


def test_sigma_of_many_is_not_the_worst() -> None:
    some = [candidate(f"{place:03}", 3 + place / 100) for place in range(-100, 101)] + [candidate("freak", -5)]
    pair = sigma(some, 0.1)
    assert isinstance(pair, Pair)
    assert pair.rejected.response_id != "freak"
    assert pair.rejected_rating == pytest.approx(2, abs=0.4)


def test_all_pairs_come_by_their_margin_and_no_more_than_asked_for() -> None:
    some = [candidate("a", 5), candidate("b", 4), candidate("c", 2), candidate("d", 1.5)]
    found = all_above_margin(some, 1, NOTHING)
    assert isinstance(found, list)
    assert [ids(pair) for pair in found] == [("a", "d"), ("a", "c"), ("b", "d"), ("b", "c"), ("a", "b")]
    assert all_above_margin(some, 1, NOTHING, 2) == found[:2]
    assert all_above_margin(some, 3, NOTHING) == found[:2]


def test_among_all_pairs_a_flip_costs_no_other() -> None:
    found = all_above_margin([candidate("a", 5, 3), candidate("b", 4, 3), candidate("c", 1, 4)], 0.5, NOTHING)
    assert isinstance(found, list)
    assert [ids(pair) for pair in found] == [("a", "b")]


def test_a_pair_of_texts_stands_once_and_never_beside_its_opposite() -> None:
    twice = [candidate("a", 5, text="x"), candidate("b", 4, text=" x"), candidate("c", 1, text="y")]
    found = all_above_margin(twice, 1, NOTHING)
    assert isinstance(found, list)
    assert [ids(pair) for pair in found] == [("a", "c")]
    against = [candidate("a", 5, text="x"), candidate("b", 3, text="y"), candidate("c", 1, text="x")]
    outcome = all_above_margin(against, 1, NOTHING)
    assert isinstance(outcome, Dropped)
    assert outcome.reason == "contradicting_pairs"


@given(CANDIDATES, st.floats(0, 4))
def test_no_two_pairs_of_a_prompt_contradict_each_other(candidates: list[Candidate], min_margin: float) -> None:
    texts = [
        (pair.chosen.content.strip(), pair.rejected.content.strip())
        for pair in pairs_in(all_above_margin(candidates, min_margin, NOTHING))
    ]
    assert len(set(texts)) == len(texts)
    assert not {texts[::-1] for texts in texts} & set(texts)


@pytest.mark.parametrize(
    ("candidates", "wanted"),
    [
        ([], "too_few_responses"),
        ([candidate("a", 5), candidate("b", None)], "missing_rating"),
        ([candidate("a", 5, finish="length"), candidate("b", 1, finish="length")], "no_finished_response"),
        ([candidate("a", 5, finish="length"), candidate("b", 1)], "tie"),
        ([candidate("a", 5, 2), candidate("b", 2, 5)], "order_flip"),
        ([candidate("a", 5), candidate("b", 4.5)], "below_margin"),
        ([candidate("a", 5), candidate("b", 1, text=" text a\n")], "identical_texts"),
    ],
)
@pytest.mark.parametrize("strategy", DRAWN)
def test_every_strategy_says_why_there_is_no_pair(strategy: str, candidates: list[Candidate], wanted: str) -> None:
    outcome = DRAWN[strategy](candidates, 1)
    assert isinstance(outcome, Dropped)
    assert outcome.reason == wanted


def written(model: str, number: int, text: str | None = None, finish: str = "stop") -> Candidate:
    return Candidate(f"{model}-{number}", model, f"{model} says {number}" if text is None else text, (), finish)


def test_the_stronger_model_stands_over_the_weaker_without_a_judge() -> None:
    some = [written("small", 0), written("large", 0), written("other", 0), written("small", 1)]
    pair = strong_vs_weak("p", some, ["large"], ["small"])
    assert isinstance(pair, Pair)
    assert (pair.chosen.model, pair.rejected.model) == ("large", "small")
    assert (pair.chosen_rating, pair.rejected_rating, pair.margin) == (None, None, None)
    assert {strong_vs_weak(f"p{n}", some, ["large"], ["small"]).rejected.response_id for n in range(40)} == {
        "small-0",
        "small-1",
    }


@pytest.mark.parametrize(
    ("candidates", "wanted"),
    [
        ([], "no_strong_response"),
        ([written("small", 0)], "no_strong_response"),
        ([written("large", 0)], "no_weak_response"),
        ([written("large", 0, finish="length"), written("small", 0)], "no_finished_response"),
        ([written("large", 0, "x"), written("small", 0, "x ")], "identical_texts"),
    ],
)
def test_strong_over_weak_says_why_there_is_no_pair(candidates: list[Candidate], wanted: str) -> None:
    outcome = strong_vs_weak("p", candidates, ["large"], ["small"])
    assert isinstance(outcome, Dropped)
    assert outcome.reason == wanted


@given(CANDIDATES, st.randoms())
def test_strong_over_weak_does_not_depend_on_the_order(candidates: list[Candidate], random: Random) -> None:
    outcome = strong_vs_weak("p", candidates, ["m"], ["n"])
    shuffled = list(candidates)
    random.shuffle(shuffled)
    assert strong_vs_weak("p", shuffled, ["m"], ["n"]) == outcome
    for pair in pairs_in(outcome):
        assert (pair.chosen.model, pair.rejected.model) == ("m", "n")
        assert pair.chosen.finish_reason != "length"
        assert pair.chosen.content.strip() != pair.rejected.content.strip()


def two(chosen: str = "abcdefgh", rejected: str = "stuvwxyz", models: str = "mn", rating: float = 4) -> Pair:
    one, other = (
        Candidate(str(place), model, text, (0.0,))
        for place, (model, text) in enumerate(zip(models, (chosen, rejected), strict=True))
    )
    return Pair(one, other, rating, 1, rating - 1)


@pytest.mark.parametrize(
    ("conditions", "held", "broken", "wanted"),
    [
        ({"min_chosen_rating": 4}, two(), two(rating=3.9), "below_min_chosen_rating"),
        ({"models": "different"}, two(), two(models="mm"), "same_model"),
        ({"models": "same"}, two(models="mm"), two(), "different_model"),
        ({"max_length_ratio": 2}, two("a" * 8, " bbbb "), two("a" * 9, "bbbb"), "length_ratio"),
        ({"max_length_ratio": 2}, two("bbbb", "a" * 8), two("bbbb", "a" * 9), "length_ratio"),
        ({"max_length_ratio": 1e300}, two(), two("a", ""), "length_ratio"),
        ({"max_length_difference": 3}, two("abc" * 2, "abc"), two("abc" * 2, "ab"), "length_difference"),
        ({"max_length_difference": 0}, two(), two("ab", "a"), "length_difference"),
        ({"max_similarity": 0.5}, two(), two("水は100度で沸騰します", "水は100度で沸騰します。"), "too_similar"),
        ({"max_similarity": 0}, two(), two("abcd", "xabc"), "too_similar"),
    ],
)
def test_a_condition_holds_up_to_its_bound_and_names_itself_beyond(
    conditions: dict[str, Any], held: Pair, broken: Pair, wanted: str
) -> None:
    assert broken_condition(Conditions(), broken) is None
    assert broken_condition(Conditions(**conditions), held) is None
    outcome = broken_condition(Conditions(**conditions), broken)
    assert outcome is not None
    assert (outcome.reason, bool(outcome.detail)) == (wanted, True)


def test_conditions_pick_among_all_pairs_and_name_the_widest_where_none_is_left() -> None:
    some = [candidate("a", 5, text="x" * 90), candidate("b", 4, text="y" * 9), candidate("c", 1, text="z" * 10)]
    found = all_above_margin(some, 1, Conditions(max_length_ratio=2))
    assert isinstance(found, list)
    assert [ids(pair) for pair in found] == [("b", "c")]
    outcome = all_above_margin(some, 1, Conditions(max_length_ratio=2, min_chosen_rating=4.5))
    assert isinstance(outcome, Dropped)
    assert outcome.reason == "length_ratio"


@given(st.text(max_size=30), st.text(max_size=30))
def test_similarity_is_a_symmetric_share_and_one_for_equals(one: str, other: str) -> None:
    assert 0 <= similarity(one, other) == similarity(other, one) <= 1
    assert similarity(one, one) == 1


def test_similarity_tells_rewording_from_another_text() -> None:
    assert similarity("Water boils at 100 °C.", "water  boils at\n100 °c.") == 1
    assert similarity("Water boils at 100 °C.", "Water boils at 100 °C at sea level.") > 0.4
    assert similarity("Water boils at 100 °C.", "The moon is far away.") < 0.1
