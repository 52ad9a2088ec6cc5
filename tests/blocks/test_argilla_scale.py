"""A judge's ratings on Argilla's steps: what a person leaves comes back unchanged, what they change in its order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasasagi.blocks.destinations.argilla_scale import ArgillaScale

NUMBERS = st.floats(-1e6, 1e6).map(lambda number: round(number, 6))
SCALES = st.one_of(
    st.lists(NUMBERS, min_size=2, max_size=2, unique=True).map(
        lambda ends: ArgillaScale.from_bounds(min(ends), max(ends))
    ),
    st.tuples(st.integers(0, 99), st.integers(1, 99)).map(
        lambda some: ArgillaScale.from_values(range(some[0], min(100, some[0] + some[1]) + 1))
    ),
    st.tuples(st.integers(0, 20), st.integers(1, 20)).map(
        lambda some: ArgillaScale.from_values([half / 2 for half in range(2 * some[0], 2 * (some[0] + some[1]) + 1)])
    ),
)


@st.composite
def rated(draw: st.DrawFn) -> tuple[ArgillaScale, tuple[float, float]]:
    """A scale, perhaps on the steps of a dataset that was there, and two ratings on it."""
    scale = draw(SCALES)
    if draw(st.booleans()):
        scale = scale.on(draw(st.sampled_from([range(1, 6), range(6), range(11)])))
    return scale, (draw(st.floats(scale.lowest, scale.highest)), draw(st.floats(scale.lowest, scale.highest)))


@given(rated())
def test_what_a_person_leaves_unchanged_comes_back_as_it_was(some: tuple[ArgillaScale, tuple[float, float]]) -> None:
    scale, ratings = some
    one, other = (scale.step_of(rating) for rating in ratings)
    assert {one, other} <= set(scale.steps)
    assert set(scale.steps) <= set(range(11))
    assert scale.read_back((one, other), ratings) == ratings


@given(rated(), st.data())
def test_what_a_person_says_of_two_responses_comes_back_in_that_order(
    some: tuple[ArgillaScale, tuple[float, float]], data: st.DataObject
) -> None:
    scale, ratings = some
    one, other = (data.draw(st.sampled_from(scale.steps)) for _ in ratings)
    first, second = scale.read_back((one, other), data.draw(st.sampled_from([ratings, (None, None)])))
    if one != other:
        assert (first > second) == (one > other)
        assert first != second
    elif (one, other) != tuple(map(scale.step_of, ratings)):
        assert first == second
    assert scale.lowest <= min(first, second)
    assert max(first, second) <= scale.highest


@given(SCALES)
def test_a_step_stands_for_the_rating_that_is_mapped_to_it(scale: ArgillaScale) -> None:
    assert [scale.step_of(scale.rating_of(step)) for step in scale.steps] == list(scale.steps)


@given(st.integers(0, 9), st.integers(1, 10), st.data())
def test_whole_numbers_to_ten_are_their_own_steps(low: int, more: int, data: st.DataObject) -> None:
    scale = ArgillaScale.from_values(range(low, min(10, low + more) + 1))
    assert set(scale.steps) >= {1, 2, 3, 4, 5}
    assert not scale.maps
    step = data.draw(st.sampled_from(scale.steps))
    assert scale.step_of(step) == step == scale.rating_of(step)


@pytest.mark.parametrize(
    ("values", "steps", "there"),
    [
        ([1, 2, 3, 4, 5], 5, {5: 5, 4.5: 5, 1: 1}),
        (list(range(1, 101)), 11, {85: 8, 40: 4, 1: 0, 100: 10}),
        ([half / 2 for half in range(2, 11)], 9, {1: 0, 1.5: 1, 4.5: 7, 5: 8}),
        ([half / 2 for half in range(2, 21)], 11, {1: 0, 10: 10}),
    ],
)
def test_wider_and_finer_scales_keep_their_ratings_apart(
    values: list[float], steps: int, there: dict[float, int]
) -> None:
    scale = ArgillaScale.from_values(values)
    assert len(scale.steps) == steps
    assert {rating: scale.step_of(rating) for rating in there} == there


def test_nothing_that_a_reward_model_gives_makes_a_scale_break() -> None:
    for low, high in ((-1e308, 1e308), (3.0, 3.0), (0.0, 5e-324), (1e300, 1e300)):
        scale = ArgillaScale.from_bounds(low, high)
        for rating in (low, high):
            assert scale.read_back((scale.step_of(rating),) * 2, (rating, rating)) == (rating, rating)
        assert scale.lowest <= scale.rating_of(scale.steps[5]) <= scale.highest
