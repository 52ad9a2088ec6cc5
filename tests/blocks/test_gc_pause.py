"""The garbage collector is kept away for a while, and only for that while."""

import gc
from collections.abc import Iterator

import pytest

from kasasagi.blocks.gc_pause import gc_paused, responsive


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    was_on = gc.isenabled()
    yield
    gc.unfreeze()
    (gc.enable if was_on else gc.disable)()


def test_nothing_is_collected_meanwhile_and_what_was_made_is_left_alone_later() -> None:
    gc.enable()
    frozen = gc.get_freeze_count()
    with gc_paused():
        assert not gc.isenabled()
        made = [[number] for number in range(1_000)]
    assert gc.isenabled()
    assert gc.get_freeze_count() >= frozen + len(made)


def test_an_error_ends_it_too_and_a_collector_that_was_off_stays_off() -> None:
    gc.disable()
    with pytest.raises(ImportError), gc_paused():
        raise ImportError
    assert not gc.isenabled()


def test_a_run_collects_more_rarely_and_puts_the_thresholds_back() -> None:
    usual = gc.get_threshold()
    with responsive():
        assert gc.get_threshold()[0] > usual[0]
    assert gc.get_threshold() == usual
