"""The server's accounts: what was asked, answered and broken off, sample by sample, and how busy the slots were."""

import asyncio
import time
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.fake_server.asks import Ask


@dataclass(slots=True)
class SampleCount:
    """How often one sample was begun, finished (a final answer was handed to the socket) and aborted by the client."""

    begun: int = 0
    finished: int = 0
    aborted: int = 0
    drawn: int = 0


@dataclass(slots=True)
class Totals:
    """Totals of one model or one endpoint."""

    calls: int = 0
    calls_finished: int = 0
    samples_begun: int = 0
    samples_finished: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(slots=True)
class Accounts:
    """Everything counted since the server began or was reset. Times are of `time.monotonic`, in seconds."""

    calls: int = 0
    calls_finished: int = 0
    calls_failed: int = 0
    calls_aborted: int = 0
    samples_begun: int = 0
    samples_finished: int = 0
    samples_aborted: int = 0
    peak_in_flight: int = 0
    first_call: float | None = None
    last_finish: float | None = None
    service_seconds: float = 0.0
    prefill_tokens: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    by_model: defaultdict[str, Totals] = field(default_factory=lambda: defaultdict(Totals))
    by_endpoint: defaultdict[str, Totals] = field(default_factory=lambda: defaultdict(Totals))
    samples: defaultdict[str, SampleCount] = field(default_factory=lambda: defaultdict(SampleCount))
    attempts: Counter[str] = field(default_factory=Counter)

    def arrive(self, endpoint: str, in_flight: int) -> None:
        """Count a POST that is read now, as one of `in_flight`."""
        if self.first_call is None:
            self.first_call = time.monotonic()
        self.calls += 1
        self.by_endpoint[endpoint].calls += 1
        self.peak_in_flight = max(self.peak_in_flight, in_flight)

    def begin(self, ask: Ask) -> int:
        """Count an ask that reached the model, and say how often it had been tried before."""
        self.samples_begun += len(ask.samples)
        for sample in ask.samples:
            self.samples[sample.digest].begun += 1
        self.by_model[ask.model].calls += 1
        for counters in (self.by_model[ask.model], self.by_endpoint[ask.endpoint]):
            counters.samples_begun += len(ask.samples)
        self.attempts[ask.digest] += 1
        return self.attempts[ask.digest] - 1

    def draw(self, digest: str) -> int:
        """The running number of an answer among all the answers to equal samples."""
        count = self.samples[digest]
        count.drawn += 1
        return count.drawn - 1

    def finish(self, ask: Ask, prompt_tokens: int, completion_tokens: int, known_tokens: int = 0) -> None:
        """Count an ask whose final answer was handed to the socket; known tokens of its prompt were not read again."""
        self.prefill_tokens += prompt_tokens - known_tokens
        self.last_finish = time.monotonic()
        self.calls_finished += 1
        self.samples_finished += len(ask.samples)
        for sample in ask.samples:
            self.samples[sample.digest].finished += 1
        for counters in (self.by_model[ask.model], self.by_endpoint[ask.endpoint]):
            counters.calls_finished += 1
            counters.samples_finished += len(ask.samples)
            counters.prompt_tokens += prompt_tokens
            counters.completion_tokens += completion_tokens

    def abort(self, ask: Ask) -> None:
        """Count an ask whose client went away before its answer."""
        self.calls_aborted += 1
        self.samples_aborted += len(ask.samples)
        for sample in ask.samples:
            self.samples[sample.digest].aborted += 1

    def report(self) -> dict[str, Any]:
        """The accounts as plain values, without the single samples."""
        left_out = ("samples", "attempts", "by_model", "by_endpoint", "statuses", "faults")
        numbers = {name: getattr(self, name) for name in self.__slots__ if name not in left_out}
        return numbers | {
            "statuses": {str(status): count for status, count in self.statuses.items()},
            "faults": dict(self.faults),
            "by_model": {name: asdict(counters) for name, counters in self.by_model.items()},
            "by_endpoint": {name: asdict(counters) for name, counters in self.by_endpoint.items()},
            "samples_distinct": len(self.samples),
            "samples_begun_again": self.samples_begun - len(self.samples),
            "samples_finished_again": sum(max(0, count.finished - 1) for count in self.samples.values()),
        }


class Slots:
    """The places in which samples are served, and the seconds that they were held."""

    def __init__(self, limit: int | None) -> None:
        self.waiting = 0
        self.running = 0
        self._seconds = 0.0
        self._since = time.monotonic()
        self.resize(limit)

    def resize(self, limit: int | None) -> None:
        """Serve that many samples at one time from now on; those being served finish in the places that they have."""
        self.limit = limit
        self._free = asyncio.Semaphore(limit) if limit is not None else None

    async def serve(self, seconds: float) -> None:
        """Wait for a place, and hold it for some seconds."""
        free = self._free
        if free is not None:
            self.waiting += 1
            try:
                await free.acquire()
            finally:
                self.waiting -= 1
        self._change(1)
        try:
            await asyncio.sleep(seconds)
        finally:
            self._change(-1)
            if free is not None:
                free.release()

    def busy_seconds(self) -> float:
        """The sum of the seconds for which places were held since the start or the last reset."""
        self._change(0)
        return self._seconds

    def reset(self) -> None:
        """Count the held seconds from 0 again."""
        self._change(0)
        self._seconds = 0.0

    def _change(self, step: int) -> None:
        now = time.monotonic()
        self._seconds += self.running * (now - self._since)
        self._since = now
        self.running += step
