"""The yield of draws: counted, logged, and compared with its floor early only where chance cannot explain it."""

import random

from hypothesis import given
from hypothesis import strategies as st

from kasasagi.tasks.synthesize.yields import Yield, below_floor, clearly_below_floor, remedy


def test_yields_add_up_and_name_the_commonest_reason_first() -> None:
    both = Yield(10, 7, {"empty": 1, "finished": 2}) + Yield(6, 1, {"min_chars": 3, "finished": 2})
    assert both == Yield(16, 8, {"empty": 1, "finished": 4, "min_chars": 3})
    assert both.sentence() == "16 draws, 8 accepted (50.0%); rejected: finished 4, min_chars 3, empty 1"
    assert "finished rejects 4, min_chars rejects 3" in remedy(both, 0.9)
    assert Yield().sentence() == "0 draws, 0 accepted (100.0%)"


def test_a_floor_is_missed_below_it_and_not_at_it() -> None:
    assert below_floor(Yield(100, 9), 0.1)
    assert not below_floor(Yield(100, 10), 0.1)
    assert not below_floor(Yield(), 1.0)


@given(st.integers(1, 6000), st.floats(0, 1), st.floats(0, 1))
def test_no_floor_is_plainly_missed_that_is_not_missed(draws: int, share: float, floor: float) -> None:
    drawn = Yield(draws, int(draws * share))
    assert not clearly_below_floor(drawn, floor) or below_floor(drawn, floor)
    assert not clearly_below_floor(Yield(draws, draws), floor)


def test_few_draws_convince_only_of_a_yield_far_below() -> None:
    assert not clearly_below_floor(Yield(3, 0), 0.5)
    assert clearly_below_floor(Yield(12, 0), 0.5)
    assert not clearly_below_floor(Yield(256, 0), 0.02)
    assert clearly_below_floor(Yield(512, 0), 0.02)
    assert clearly_below_floor(Yield(256, 90), 0.5)
    assert not clearly_below_floor(Yield(256, 120), 0.5)
    assert clearly_below_floor(Yield(100_000, 48_000), 0.5)
    assert not clearly_below_floor(Yield(100_000, 49_800), 0.5)


def test_a_floor_that_is_just_reached_stops_hardly_any_run() -> None:
    rng = random.Random(0)
    stopped = 0
    for _ in range(300):
        accepted = sum(rng.random() < 0.3 for _ in range(256))
        stopped += clearly_below_floor(Yield(256, accepted), 0.3)
    assert stopped <= 3
