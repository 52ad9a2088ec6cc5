"""What a person at a terminal sees while a run is active: chunks, rates, tokens, cost and the time left."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from typing import TYPE_CHECKING

from kasasagi.flows.reporting.progress import Progress
from kasasagi.flows.views.language import say
from kasasagi.flows.views.safe_text import dollars

if TYPE_CHECKING:
    from rich.console import Console

    from kasasagi.blocks.dispatch.dispatcher import Dispatcher
    from kasasagi.blocks.dispatch.pending_requests import Counters

REFRESH_S = 0.5
RATE_WINDOW_S = 20.0
WORTH_TELLING_S = 5.0


class Rate:
    """Events a second over the last seconds."""

    def __init__(self, window_s: float = RATE_WINDOW_S) -> None:
        self._window = window_s
        self._seen: list[tuple[float, int]] = []

    def __call__(self, now: float, count: int) -> float:
        """Take a count at a time and give the rate."""
        self._seen = [(at, seen) for at, seen in self._seen if now - at <= self._window] + [(now, count)]
        at, seen = self._seen[0]
        return (count - seen) / (now - at) if now > at else 0.0


def line(progress: Progress, dispatcher: "Dispatcher | None", rate: float, left_s: float | None) -> str:
    """Return one line that says how far a run is."""
    parts = [say(progress.now)]
    parts += [
        f"{stage} {progress.done.get(stage, 0)}/{wanted}" for stage, wanted in progress.wanted.items() if wanted > 1
    ]
    if dispatcher is not None and dispatcher.counters.asked:
        counters = dispatcher.counters
        parts.append(say(f"{counters.answered:,} answered, {dispatcher.in_flight()} in flight, {rate:,.0f}/s"))
        parts.append(say(f"{counters.prompt_tokens + counters.completion_tokens:,} tokens"))
        parts += [say(f"{counters.retried:,} tried again")] if counters.retried else []
        parts += [dollars(counters.cost_usd)] if counters.cost_usd else []
        parts += _pauses(counters)
    parts += [say("about {time} left", time=_duration(left_s))] if left_s is not None else []
    return " · ".join(parts)


def _pauses(counters: "Counters") -> list[str]:
    """Return why nothing is sent, where that lasts so long that a person wonders."""
    found = []
    if counters.next_at is not None and (wait := counters.next_at - time.monotonic()) >= WORTH_TELLING_S:
        found.append(say("the next call in {time}", time=_duration(wait)))
    if counters.short_of is not None:
        found.append(say("no slot of Prefect's limit {name} is free", name=repr(counters.short_of)))
    return found


def time_left(progress: Progress, seconds: float) -> float | None:
    """Seconds until all chunks are done, at the pace so far; None while there is no telling."""
    wanted = sum(progress.wanted.values())
    done = sum(min(progress.done.get(stage, 0), count) for stage, count in progress.wanted.items())
    if done < 3 or wanted <= done:
        return None
    return seconds / done * (wanted - done)


def _duration(seconds: float) -> str:
    whole = int(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


@contextmanager
def shown(console: "Console", progress: Progress) -> Iterator[list["Dispatcher"]]:
    """Show the line at the console's foot while this lasts; nothing where it is no terminal.

    Yields a list that takes the dispatcher once there is one.
    """
    dispatchers: list[Dispatcher] = []
    if not console.is_terminal:
        yield dispatchers
        return
    over = threading.Event()
    with console.status(say("starting")) as status:

        def refresh() -> None:
            started, rate = time.monotonic(), Rate()
            while not over.wait(REFRESH_S):
                now = time.monotonic()
                dispatcher = dispatchers[0] if dispatchers else None
                speed = rate(now, dispatcher.counters.answered) if dispatcher else 0.0
                status.update(line(progress, dispatcher, speed, time_left(progress, now - started)))

        thread = threading.Thread(target=copy_context().run, args=(refresh,), daemon=True)
        thread.start()
        try:
            yield dispatchers
        finally:
            over.set()
            thread.join()
