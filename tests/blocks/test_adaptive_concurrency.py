"""The limit of an address against simulated servers: it finds what they take, and neither collapses nor hammers."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasasagi.blocks.dispatch.limits.adaptive_concurrency import AdaptiveConcurrency
from tests.blocks.simulated import Outcome, SimulatedServer, Simulation


def around(mean: float = 1.2) -> Callable[[], float]:
    generator = random.Random(3)
    return lambda: max(0.2, generator.gauss(mean, mean / 4))


def simulate(slots: int, first: int, most: int, seconds: float = 60.0, **server: Any) -> tuple[float, Outcome]:
    """The busy share of the slots over the second half, and the outcome of the whole."""
    outcome = Simulation(SimulatedServer(lambda now: slots, around(), **server), first, most).run(seconds)
    return (outcome.busy_seconds - outcome.busy_by_half) / (slots * seconds / 2), outcome


@pytest.mark.parametrize(
    ("slots", "first", "most"), [(100, 32, 1024), (100, 1024, 1024), (500, 32, 1024), (4, 32, 256)]
)
def test_the_number_of_calls_that_a_server_takes_is_found(slots: int, first: int, most: int) -> None:
    share, outcome = simulate(slots, first, most)
    assert share > 0.95
    assert outcome.refusals < 2 * first + 0.2 * outcome.answers
    assert max(limit for now, limit in outcome.limits if now > 30) <= 1.1 * slots + 2


@pytest.mark.parametrize("rate", [0.0, 0.3])
def test_a_limit_that_falls_and_rises_again_is_followed(rate: float) -> None:
    server = SimulatedServer(lambda now: 50 if 20 < now < 40 else 200, around(), random_refusals=rate)
    limits = Simulation(server, 32, 1024).run(80).limits
    assert max(limit for now, limit in limits if 30 < now < 40) <= 75
    assert max(limit for now, limit in limits if now > 70) >= 190


@pytest.mark.parametrize("first", [256, 32])
@pytest.mark.parametrize("rate", [0.05, 0.1, 0.3, 0.5])
def test_refusals_that_come_at_any_level_do_not_make_it_collapse(rate: float, first: int) -> None:
    share, outcome = simulate(256, first, 256, random_refusals=rate)
    assert share > 0.95
    assert min(limit for now, limit in outcome.limits if now > 30) > 200


@pytest.mark.parametrize("first", [32, 1024])
def test_a_full_server_is_found_though_it_also_refuses_at_random(first: int) -> None:
    share, outcome = simulate(100, first, 1024, random_refusals=0.3)
    assert share > 0.9
    assert min(limit for now, limit in outcome.limits if now > 30) > 75
    assert max(limit for now, limit in outcome.limits if now > 30) < 150


def test_refusals_at_any_level_hinder_growth_little() -> None:
    limits = Simulation(SimulatedServer(lambda now: 256, around(), random_refusals=0.05), 32, 256).run(15).limits
    assert limits[-1][1] >= 240


def test_a_slot_that_was_refused_stays_empty_for_a_while() -> None:
    """Fewer 429s than a tenth of the answers, though the server has one slot less than the limit would try."""
    _, outcome = simulate(500, 500, 501)
    assert outcome.refusals < 0.1 * outcome.answers


def test_growth_that_brings_nothing_is_taken_back() -> None:
    """A server that queues silently has 64 slots: more calls in flight only wait longer."""
    share, outcome = simulate(64, 32, 1024, queues=True)
    assert share > 0.97
    assert max(limit for _, limit in outcome.limits) <= 512
    assert sum(limit for _, limit in outcome.limits) / len(outcome.limits) < 200


def test_a_queue_that_is_seen_is_kept_short() -> None:
    for slots in (64, 600):
        share, outcome = simulate(slots, 256, 1024, queues=True, gauge=True)
        assert share > 0.97
        assert max(limit for now, limit in outcome.limits if now > 30) <= 1.1 * slots


def test_time_outs_lower_the_limit_until_they_stop() -> None:
    share, outcome = simulate(16, 256, 256, queues=True, patience_s=3.0)
    assert share > 0.97
    assert max(limit for now, limit in outcome.limits if now > 30) <= 80


def test_one_call_that_hangs_costs_little() -> None:
    concurrency = AdaptiveConcurrency()
    concurrency.allow(100, 100)
    calls = [concurrency.on_send(0.0, level) for level in range(1, 101)]
    for call in calls[1:50]:
        concurrency.on_answer(call, 1.0, 100)
    concurrency.on_timeout(calls[0])
    assert concurrency.limit == 50
    for call in calls[50:]:
        concurrency.on_answer(call, 1.0, 60)
    assert concurrency.limit == 100


def test_refusals_without_an_answer_make_pauses_longer() -> None:
    concurrency = AdaptiveConcurrency()
    concurrency.allow(64, 64)
    pauses = [concurrency.on_refusal(concurrency.on_send(0.0, 1)) for _ in range(60)]
    real = [pause for pause in pauses if pause]
    assert concurrency.limit == 1
    assert real == sorted(real)
    assert real[-1] == 5.0


def test_a_limit_never_grows_by_what_was_not_needed() -> None:
    concurrency = AdaptiveConcurrency()
    concurrency.allow(32, 1024)
    for number in range(5_000):
        concurrency.on_answer(concurrency.on_send(number, 3), number + 1.0, 3)
    assert concurrency.limit == 32


@given(
    st.integers(1, 300),
    st.integers(0, 300),
    st.lists(
        st.tuples(st.sampled_from(["answered", "refused", "timed_out", "queue"]), st.integers(0, 400)), max_size=200
    ),
)
def test_the_limit_is_always_between_one_and_the_most(first: int, more: int, events: list[tuple[str, int]]) -> None:
    concurrency = AdaptiveConcurrency()
    concurrency.allow(first, first + more)
    calls = [concurrency.on_send(0.0, level) for level in range(1, first + 1)]
    for number, (kind, pick) in enumerate(events):
        call = calls[pick % len(calls)]
        if kind == "answered":
            concurrency.on_answer(call, 1.0 + number, concurrency.limit)
        elif kind == "refused":
            assert concurrency.on_refusal(call) >= 0.0
        elif kind == "timed_out":
            concurrency.on_timeout(call)
        else:
            concurrency.on_queue_length(pick, concurrency.limit)
        calls.append(concurrency.on_send(1.0 + number, 1 + pick % concurrency.limit))
        assert 1 <= concurrency.limit <= first + more
