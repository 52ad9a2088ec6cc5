"""What servers ask us to wait for, in all the forms that they say it in."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasasagi.blocks.endpoints.rate_headers import (
    LONGEST_ASKED_WAIT_S,
    LONGEST_QUOTA_WAIT_S,
    quota_wait,
    retry_after,
    retry_delay,
    seconds_in,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1.0),
        ("6m0s", 360.0),
        ("120ms", 0.12),
        ("1h2m3.5s", 3723.5),
        ("7m12s", 432.0),
        ("2m59.56s", 179.56),
        ("0", 0.0),
        ("12.5", 12.5),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("5 apples", None),
    ],
)
def test_durations_and_numbers_are_read(text: str, seconds: float | None) -> None:
    assert seconds_in(text) == (None if seconds is None else pytest.approx(seconds))


def test_dates_and_times_since_1970_are_read_as_from_now() -> None:
    at = datetime.now(UTC) + timedelta(seconds=100)
    for text in (
        at.isoformat(),
        at.isoformat().replace("+00:00", "Z"),
        str(at.timestamp()),
        str(at.timestamp() * 1000),
    ):
        assert seconds_in(text) == pytest.approx(100, abs=5)


@given(st.text(max_size=30))
def test_any_text_is_read_without_raising(text: str) -> None:
    seconds_in(text)
    waited = retry_after({"retry-after": text, "retry-after-ms": text})
    assert waited is None or 0 <= waited <= LONGEST_ASKED_WAIT_S
    left = quota_wait({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": text})
    assert left is None or 0 <= left <= LONGEST_QUOTA_WAIT_S


def test_milliseconds_go_before_seconds() -> None:
    assert retry_after({"retry-after-ms": "1500", "retry-after": "2"}) == 1.5


def test_only_a_limit_of_which_nothing_is_left_is_waited_for() -> None:
    headers = {
        "x-ratelimit-remaining-requests": "3",
        "x-ratelimit-reset-requests": "40s",
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": "6s",
    }
    assert quota_wait(headers) == 6.0
    assert quota_wait(headers | {"x-ratelimit-remaining-tokens": "10"}) is None
    assert quota_wait(headers | {"x-ratelimit-reset-tokens": "2h"}) == LONGEST_QUOTA_WAIT_S
    assert quota_wait({}) is None


def test_the_wait_that_gemini_asks_for_is_found_in_its_own_form() -> None:
    error = {"code": 429, "message": "quota", "details": [{"@type": "QuotaFailure"}, {"retryDelay": "34s"}]}
    for body in ({"error": error}, [{"error": error}]):
        assert retry_delay(body) == 34.0
