"""Requests and tokens a minute: two buckets that fill steadily, so that no minute sees more than the cap."""

from kasasagi.blocks.dispatch.estimates import TOKENS_GUESSED

MINUTE_S = 60.0
BURST_SHARE = 0.05


class Bucket:
    """Room for so many a minute: a burst of a twentieth at once, the rest evenly over the minute."""

    def __init__(self, per_minute: int) -> None:
        self._most = max(1.0, per_minute * BURST_SHARE)
        self._rate = max(1.0, per_minute - self._most + 1) / MINUTE_S
        self._level = self._most
        self._filled_at: float | None = None

    def ready_at(self, now: float, least: float) -> float:
        """Return when at least so much room will be there, if nothing else is taken."""
        self._fill(now)
        missing = min(least, self._most) - self._level
        return now if missing <= 1e-9 else now + missing / self._rate

    def take(self, now: float, amount: float) -> None:
        """Take room, or give some back where the amount is negative; it may become less than none."""
        self._fill(now)
        self._level = min(self._most, self._level - amount)

    def _fill(self, now: float) -> None:
        if self._filled_at is not None:
            self._level = min(self._most, self._level + (now - self._filled_at) * self._rate)
        self._filled_at = now


class RateLimiter:
    """The caps of one model at one address; None means no cap."""

    def __init__(self, requests_per_minute: int | None, tokens_per_minute: int | None) -> None:
        self._requests = Bucket(requests_per_minute) if requests_per_minute else None
        self._tokens = Bucket(tokens_per_minute) if tokens_per_minute else None

    def ready_at(self, now: float) -> float:
        """Return when the next call may be sent."""
        requests = self._requests.ready_at(now, 1.0) if self._requests else now
        tokens = self._tokens.ready_at(now, TOKENS_GUESSED) if self._tokens else now
        return max(requests, tokens)

    def on_send(self, now: float, tokens: int) -> None:
        """Count a call that is sent, with the tokens that it is expected to take."""
        if self._requests:
            self._requests.take(now, 1.0)
        if self._tokens:
            self._tokens.take(now, tokens)

    def on_end(self, now: float, expected: int, tokens: int) -> None:
        """Put right what was expected of a call by what it took."""
        if self._tokens:
            self._tokens.take(now, tokens - expected)
