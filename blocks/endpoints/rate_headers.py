"""How long a server's answer asks us to wait: Retry-After, and the headers that say what is left of a rate limit.

Retry-After: RFC 9110, 10.2.3. The others are not standardised: `x-ratelimit-remaining-requests` with
`x-ratelimit-reset-requests: 6m0s` (OpenAI, Groq), `anthropic-ratelimit-requests-remaining` with a date (Anthropic),
`x-ratelimit-reset` in seconds, or as seconds or milliseconds since 1970.
"""

import math
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

LONGEST_ASKED_WAIT_S = 3600.0
LONGEST_QUOTA_WAIT_S = 60.0
MOST_READ = 4_000
"""Characters of an error in which a quota of the day is looked for."""
QUOTAS = (
    ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
    ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
    ("anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset"),
    ("anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset"),
    ("x-ratelimit-remaining", "x-ratelimit-reset"),
    ("ratelimit-remaining", "ratelimit-reset"),
)
_DELAYS = ("retryDelay", "retry_after", "retryAfter")
_PER_DAY = re.compile(r"per_?day|daily[ _](?:\w+[ _])?(?:quota|limit)|quota (?:of|for) the day", re.IGNORECASE)
_LISTED = 8
_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")
_SECONDS_OF = (3600.0, 60.0, 1.0, 0.001)
_SINCE_1970_S = 1e9
_SINCE_1970_MS = 1e12


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that an answer asks to wait before another attempt, never longer than we wait; None if it says none."""
    with suppress(ValueError):
        return _within(float(headers.get("retry-after-ms", "")) / 1000, LONGEST_ASKED_WAIT_S)
    seconds = seconds_in(headers.get("retry-after", ""))
    return None if seconds is None else _within(seconds, LONGEST_ASKED_WAIT_S)


def retry_delay(body: Any, depth: int = 6) -> float | None:
    """Seconds that an error's body asks to wait, such as Gemini's RetryInfo; None where it asks for none."""
    if isinstance(body, list) and depth:
        found = (retry_delay(one, depth) for one in body[:_LISTED])
        return next((one for one in found if one is not None), None)
    if not isinstance(body, Mapping) or not depth:
        return None
    for name in _DELAYS:
        if isinstance(value := body.get(name), str | int | float) and (seconds := seconds_in(str(value))) is not None:
            return _within(seconds, LONGEST_ASKED_WAIT_S)
    return retry_delay([value for value in body.values() if isinstance(value, list | Mapping)], depth - 1)


def is_daily_quota(body: Any) -> bool:
    """Return whether an error says that a quota of the day is used up, as Gemini's quotaId …PerDay… does."""
    return _PER_DAY.search(str(body)[:MOST_READ]) is not None


def quota_wait(headers: Mapping[str, str]) -> float | None:
    """Seconds until a rate limit of which nothing is left has room again, a minute at most; None while some is left."""
    waits = []
    for remaining, reset in ((left, reset) for name, reset in QUOTAS if (left := headers.get(name))):
        with suppress(ValueError):
            if float(remaining) <= 0:
                waits.append(seconds_in(headers.get(reset, "")))
    asked = [wait for wait in waits if wait is not None]
    return _within(max(asked), LONGEST_QUOTA_WAIT_S) if asked else None


def seconds_in(text: str) -> float | None:
    """Return the seconds from now that a header means: a number, a duration, a date or a time since 1970; None if
    neither.
    """
    text = text.strip()
    with suppress(ValueError):
        return _from_now(float(text))
    match = _DURATION.fullmatch(text)
    if text and match is not None:
        return sum(float(part) * unit for part, unit in zip(match.groups(), _SECONDS_OF, strict=True) if part)
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        with suppress(ValueError, TypeError, OverflowError):
            at = read(text)
            return (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return None


def _from_now(number: float) -> float | None:
    if math.isnan(number):
        return None
    if number >= _SINCE_1970_MS:
        return number / 1000 - time.time()
    return number - time.time() if number >= _SINCE_1970_S else number


def _within(seconds: float, most: float) -> float:
    return max(0.0, min(seconds, most))
