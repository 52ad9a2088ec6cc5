"""Caps a minute: never passed in any minute, and nearly used up."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kasasagi.blocks.dispatch.limits.rate_limiter import RateLimiter


def sent_at(rate_limiter: RateLimiter, seconds: float, tokens: int = 0, actual: int = 0) -> list[float]:
    """The times at which a rate limiter lets calls go that are always there."""
    now, times = 0.0, []
    while now < seconds:
        now = rate_limiter.ready_at(now)
        rate_limiter.on_send(now, tokens)
        rate_limiter.on_end(now, tokens, actual)
        times.append(now)
    return times


@settings(max_examples=40)
@given(st.integers(1, 2_000))
def test_no_minute_sees_more_requests_than_the_cap(cap: int) -> None:
    times = sent_at(RateLimiter(cap, None), 180.0)
    for first in times[:: max(1, len(times) // 50)]:
        assert sum(first <= at < first + 59.999 for at in times) <= cap
    assert sum(60 <= at < 120 for at in times) >= 0.9 * cap - 1


@pytest.mark.parametrize(("expected", "actual"), [(1_000, 1_000), (2_000, 200), (100, 1_500)])
def test_tokens_a_minute_follow_what_calls_really_take(expected: int, actual: int) -> None:
    times = sent_at(RateLimiter(None, 60_000), 240.0, expected, actual)
    taken = actual * sum(60 <= at < 120 for at in times)
    assert 0.9 * 60_000 <= taken <= 60_000 + actual


def test_a_call_larger_than_the_cap_goes_all_the_same() -> None:
    rate_limiter = RateLimiter(None, 100)
    rate_limiter.on_send(0.0, 1_000)
    assert 0 < rate_limiter.ready_at(0.0) < 1_000


def test_without_caps_everything_goes_at_once() -> None:
    rate_limiter = RateLimiter(None, None)
    rate_limiter.on_send(5.0, 10**9)
    assert rate_limiter.ready_at(5.0) == 5.0
