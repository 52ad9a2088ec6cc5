"""Refusals of a full server and those that come at any level are distinguished, by the numbers of the calls alone."""

import random

from hypothesis import given
from hypothesis import strategies as st

from kasasagi.blocks.dispatch.limits.rate_refusals import COMPARED, REMEMBERED_LEVELS, Refusals


def at_random(refusals: Refusals, share: float, calls: int, seed: int = 1) -> list[bool]:
    """Return the verdict on each refusal while a share of the calls at level 100 is refused."""
    generator = random.Random(seed)
    found = []
    for number in range(1, calls + 1):
        refusals.on_send(number, 100)
        if generator.random() < share:
            found.append(refusals.on_refusal(number, 100))
    return found


def test_four_in_a_row_are_too_many_where_hardly_any_call_is_refused() -> None:
    refusals = Refusals()
    assert [refusals.on_refusal(number, number) for number in range(101, 106)] == [False, False, False, True, True]
    assert refusals.lowest == 101


def test_a_third_of_all_calls_refused_is_soon_seen_to_be_usual() -> None:
    refusals = Refusals()
    found = at_random(refusals, 0.3, 5_000)
    assert 0.2 < refusals.usual_share < 0.4
    assert sum(found[:30]) <= 2
    assert sum(found[30:]) <= 2


def test_a_full_server_is_seen_though_many_calls_are_refused_anyway() -> None:
    refusals = Refusals()
    at_random(refusals, 0.3, 1_000)
    found = [refusals.on_refusal(number, 100) for number in range(1_001, 1_021)]
    assert found[-1]
    assert refusals.usual_share < 0.45


def test_a_row_at_a_full_server_is_not_learned_as_usual() -> None:
    refusals = Refusals()
    for number in range(1_000):
        refusals.on_refusal(number, 100)
    assert refusals.usual_share < 0.1


def test_the_ceiling_lies_below_the_lowest_level_that_was_refused() -> None:
    refusals = Refusals()
    for number in range(1, 200):
        level = 101 if number % 9 == 0 else 100
        refusals.on_send(number, level)
        if level == 101:
            refusals.on_refusal(number, level)
    assert refusals.ceiling() == 100


def test_refusals_at_one_level_with_the_calls_that_were_taken_know_no_ceiling() -> None:
    refusals = Refusals()
    at_random(refusals, 0.1, 500)
    assert refusals.ceiling() is None


def test_few_refusals_among_very_many_calls_know_no_ceiling() -> None:
    refusals = Refusals()
    for number in range(1, COMPARED * REMEMBERED_LEVELS, REMEMBERED_LEVELS):
        refusals.on_send(number, 101)
        refusals.on_refusal(number, 101)
    assert refusals.ceiling() is None


@given(st.lists(st.integers(1, 400), min_size=1, max_size=60), st.lists(st.integers(0, 59), max_size=60))
def test_refusals_in_any_order_are_borne(levels: list[int], order: list[int]) -> None:
    refusals = Refusals()
    for number, level in enumerate(levels):
        refusals.on_send(number, level)
    for number in (number % len(levels) for number in order):
        refusals.on_refusal(number, levels[number])
        ceiling = refusals.ceiling()
        assert ceiling is None or 0 <= ceiling < 400
        assert 0.05 <= refusals.usual_share <= 0.7
