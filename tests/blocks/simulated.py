"""A simulated server and the calls that an adaptive limit lets through to it, without a clock or a network."""

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from kasasagi.blocks.dispatch.limits.adaptive_concurrency import AdaptiveConcurrency, SentCall

ROUND_TRIP_S = 0.002


@dataclass
class SimulatedServer:
    """slots are served at once; beyond them a call is refused, or, where queues is set, it waits."""

    slots: Callable[[float], int]
    seconds: Callable[[], float]
    queues: bool = False
    random_refusals: float = 0.0
    gauge: bool = False
    patience_s: float = 1e9


@dataclass
class Outcome:
    """The outcome."""

    answers: int = 0
    refusals: int = 0
    time_outs: int = 0
    busy_seconds: float = 0.0
    busy_by_half: float = 0.0
    limits: list[tuple[float, int]] = field(default_factory=list)


class Simulation:
    """Sends calls as an adaptive limit lets it for some simulated seconds; the next call is always there."""

    def __init__(self, server: SimulatedServer, first: int, most: int, seed: int = 1) -> None:
        self.server = server
        self.concurrency = AdaptiveConcurrency()
        self.concurrency.allow(first, most)
        self.random = random.Random(seed)
        self.outcome = Outcome()
        self.in_flight = self.running = 0
        self.resume_at = 0.0
        self._waiting: list[tuple[float, SentCall]] = []
        self._events: list[tuple[float, int, str, SentCall | None]] = []
        self._number = 0

    def run(self, seconds: float) -> Outcome:
        """Let it run that long, from time 0."""
        now = 0.0
        self._at(1.0, "gauge", None)
        self._send(now)
        while self._events and now < seconds:
            if now < seconds / 2:
                self.outcome.busy_by_half = self.outcome.busy_seconds
            now, _, kind, call = heapq.heappop(self._events)
            getattr(self, f"_{kind}")(now, call)
            self._send(now)
        return self.outcome

    def _at(self, time: float, kind: str, call: SentCall | None) -> None:
        self._number += 1
        heapq.heappush(self._events, (time, self._number, kind, call))

    def _send(self, now: float) -> None:
        if now < self.resume_at:
            return
        while self.in_flight < self.concurrency.room:
            self.in_flight += 1
            call = self.concurrency.on_send(now, self.in_flight)
            self._at(now + ROUND_TRIP_S / 2, "arrives", call)
        self.outcome.limits.append((now, self.concurrency.limit))

    def _arrives(self, now: float, call: SentCall) -> None:
        free = self.running < self.server.slots(now)
        if self.random.random() < self.server.random_refusals or not (free or self.server.queues):
            self._at(now + ROUND_TRIP_S / 2, "refused", call)
        elif free:
            self._start(now, call)
        else:
            self._waiting.append((now, call))

    def _start(self, now: float, call: SentCall) -> None:
        self.running += 1
        seconds = self.server.seconds()
        self.outcome.busy_seconds += seconds
        self._at(now + seconds, "served", call)

    def _served(self, now: float, call: SentCall) -> None:
        self.running -= 1
        self._at(now + ROUND_TRIP_S / 2, "answered", call)
        while self._waiting and self.running < self.server.slots(now):
            since, waiting = self._waiting.pop(0)
            if now - since > self.server.patience_s:
                self._at(now, "timed_out", waiting)
            else:
                self._start(now, waiting)

    def _answered(self, now: float, call: SentCall) -> None:
        self.outcome.answers += 1
        self.concurrency.on_answer(call, now, self.in_flight)
        self.in_flight -= 1

    def _refused(self, now: float, call: SentCall) -> None:
        self.outcome.refusals += 1
        self.in_flight -= 1
        self.resume_at = max(self.resume_at, now + self.concurrency.on_refusal(call))
        self._at(self.resume_at, "woken", None)

    def _timed_out(self, now: float, call: SentCall) -> None:
        self.outcome.time_outs += 1
        self.in_flight -= 1
        self.concurrency.on_timeout(call)

    def _gauge(self, now: float, call: SentCall | None) -> None:
        if self.server.gauge:
            self.concurrency.on_queue_length(len(self._waiting), self.in_flight)
        self._at(now + 1.0, "gauge", None)

    def _woken(self, now: float, call: SentCall | None) -> None:
        pass
