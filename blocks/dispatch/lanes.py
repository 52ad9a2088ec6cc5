"""Lanes: the questions that wait for servers or for an engine of this process."""

import asyncio
import heapq
import itertools
import random
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

from kasasagi.blocks.dispatch.sharing import can_share
from kasasagi.blocks.models.kinds import ModelConfig
from kasasagi.blocks.models.llm import Completion, Engine, Request

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 60.0


@dataclass(slots=True)
class Job:
    """One question on its way: which model, what, how urgent, how often it was sent, and where it failed last.

    prefix names what its request shares with others; it has_followed once it has waited for the first of them.
    It shares_again if its last call shared with others was not taken, whatever it asked for.
    failures counts those that count against its retries. It is suspect if others were answered between its failures.
    """

    label: str
    key: str
    request: Request
    rank: int
    order: int
    attempts: int = 0
    failed_at: str | None = None
    failures: int = 0
    is_suspect: bool = False
    prefix: str = ""
    has_followed: bool = False
    shares_again: bool = False
    _row: object = None

    @property
    def may_share(self) -> bool:
        """Whether its next call may ask for others, too."""
        return (not self.attempts or self.shares_again) and can_share(self.request)

    def blame(self, row: object, is_outage: bool) -> None:
        """Note a failure; that of an outage is forgiven, unless the question is suspect.

        Args:
            row: The failures in a row, without an answer between them, that it belongs to.
            is_outage: Whether that row has turned out to be an outage.
        """
        self.is_suspect = self.is_suspect or (self._row is not None and row is not self._row)
        self._row = row
        self.failures = 0 if is_outage and not self.is_suspect else self.failures + 1


class DispatcherCallbacks(Protocol):
    """The methods of the dispatcher that a lane calls."""

    counters: Any

    def settle(self, job: Job, completion: Completion, address: str | None = None) -> None:
        """Accept the final result of a job, and the address that gave it."""

    def record_attempt(self, job: Job, completion: Completion) -> None:
        """Account for an attempt that is not a job's last; its tokens are spent all the same."""

    def retry(self, *jobs: Job) -> None:
        """Send jobs again, as soon as the budget allows it."""

    def report_unusable(self, label: str, why: str, address: str | None = None) -> None:
        """End the run, since no call to this model can succeed, there or anywhere."""

    def report_failure(self, error: BaseException) -> None:
        """End the run, since a part of the dispatcher itself failed."""


def backoff(attempt: int, asked: float | None) -> float:
    """Seconds until the next attempt: full jitter over a doubling span, and never less than the server asked for."""
    span = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**attempt)
    return (asked or 0.0) + random.uniform(0, span)


class Lane:
    """The questions that wait for one place: the most urgent goes first, and no more than the limit are in flight."""

    def __init__(self, callbacks: DispatcherCallbacks) -> None:
        self.callbacks = callbacks
        self.in_flight = 0
        self._closed = False
        self.held = False
        self._queue: list[tuple[int, int, int, Job]] = []
        self._sign = -1
        self._numbers = itertools.count()
        self._pumps_soon = False
        self._tasks: set[asyncio.Task[None]] = set()

    def admit(self, label: str, model: ModelConfig) -> None:
        """Learn of a model that is asked here."""

    def push(self, job: Job) -> None:
        """Queue a job and send what may be sent; nothing more is taken once the lane was cleared."""
        if self._closed:
            return
        self._enqueue(job)
        self.pump()

    def _enqueue(self, job: Job) -> None:
        heapq.heappush(self._queue, (self._sign * job.rank, job.order, next(self._numbers), job))

    def pump(self) -> None:
        """Send as much as the limit allows."""

    def _pump_soon(self) -> None:
        """Send what may be sent once the loop has taken in all that comes with what was queued now."""
        if not self._pumps_soon:
            self._pumps_soon = True
            asyncio.get_running_loop().call_soon(self._pump_now)

    def _pump_now(self) -> None:
        self._pumps_soon = False
        self.pump()

    def release(self) -> None:
        """Go on sending after a hold."""
        self.held = False
        self.pump()

    def clear(self) -> None:
        """Forget what waits, and send nothing more."""
        self._closed = True
        self._queue.clear()

    def reverse(self) -> None:
        """Let lower ranks go first from now on."""
        if self._sign < 0:
            self._sign = 1
            self._queue = [(-rank, order, number, job) for rank, order, number, job in self._queue]
            heapq.heapify(self._queue)

    async def close(self) -> None:
        """Abandon what is in flight; a subclass lets go of its connections and threads, too."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Start work in the loop; if it raises, the run ends, since what waits for it would wait for ever."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._task_ended)

    def _task_ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.callbacks.report_failure(error)

    def _pop(self) -> Job:
        return heapq.heappop(self._queue)[-1]


class EngineLane(Lane):
    """The questions for a model in this process, answered a batch at a time in a thread."""

    def __init__(self, callbacks: DispatcherCallbacks, engine: Engine) -> None:
        super().__init__(callbacks)
        self._engine = engine
        self._busy = False

    def push(self, job: Job) -> None:
        """Queue a job; the batch is formed once the loop has taken in all that came with it."""
        if self._closed:
            return
        self._enqueue(job)
        if not self._busy:
            self._busy = True
            asyncio.get_running_loop().call_soon(self.pump)

    def pump(self) -> None:
        """Form the next batch of the most urgent questions, once the one before is answered."""
        if self.in_flight:
            return
        count = 0 if self.held else min(len(self._queue), self._engine.batch_size)
        batch = [self._pop() for _ in range(count)]
        self._busy = bool(batch)
        if batch:
            self.in_flight = len(batch)
            future = asyncio.get_running_loop().run_in_executor(None, self._engine.generate, [j.request for j in batch])
            future.add_done_callback(lambda done: self._finish(batch, done))

    def _finish(self, batch: list[Job], done: "asyncio.Future[list[Completion]]") -> None:
        self.in_flight = 0
        if done.cancelled():
            return
        if (error := done.exception()) is not None:
            self.callbacks.report_unusable(batch[0].label, f"its engine failed: {type(error).__name__}: {error}")
            return
        completions = done.result()
        if len(completions) != len(batch):
            why = f"its engine gave {len(completions)} answers to {len(batch)} questions"
            self.callbacks.report_unusable(batch[0].label, why)
            return
        for job, completion in zip(batch, completions, strict=True):
            self.callbacks.settle(job, completion)
        self.pump()
