"""Lanes: the questions that wait for one endpoint or engine, its limit, and what is tried again."""

import asyncio
import heapq
import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import openai

from blocks.llm import Completion, Engine, Request
from blocks.models import ModelConfig, OpenAIModel, missing_key
from blocks.openai_endpoint import OpenAIEndpoint, read_failure

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 60.0


@dataclass(slots=True)
class Job:
    """One question on its way: which model, what, how urgent, and how often it was sent."""

    label: str
    key: str
    request: Request
    rank: int
    order: int
    attempts: int = 0


class Owner(Protocol):
    """What a lane needs of the dispatcher."""

    tally: Any

    def settle(self, job: Job, completion: Completion) -> None:
        """Take a job's last word."""

    def unusable(self, label: str, why: str) -> None:
        """End the run, since no call to this model can succeed."""


def backoff(attempt: int, asked: float | None) -> float:
    """Seconds until the next attempt: full jitter over a doubling span, and never less than the server asked for."""
    span = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**attempt)
    return (asked or 0.0) + random.uniform(0, span)


class Lane:
    """The questions that wait for one place: the most urgent goes first, and no more than the limit are in flight."""

    def __init__(self, owner: Owner) -> None:
        self.owner = owner
        self.in_flight = 0
        self._closed = False
        self._queue: list[tuple[int, int, int, Job]] = []
        self._sign = -1
        self._numbers = itertools.count()

    def admit(self, label: str, model: ModelConfig) -> None:
        """Learn of a model that is asked here."""

    def push(self, job: Job) -> None:
        """Queue a job and send what may be sent; nothing more is taken once the lane was cleared."""
        if self._closed:
            return
        heapq.heappush(self._queue, (self._sign * job.rank, job.order, next(self._numbers), job))
        self.pump()

    def pump(self) -> None:
        """Send as much as the limit allows."""

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
        """Let go of connections and threads."""

    def _pop(self) -> Job:
        return heapq.heappop(self._queue)[-1]


class ServerLane(Lane):
    """The questions for one address, whatever models are asked there: they share its limit.

    A model's first question goes out only after the server has said that it knows the model and takes the key, so
    that a wrong key costs one request and not hundreds.
    """

    def __init__(self, owner: Owner) -> None:
        super().__init__(owner)
        self.limit = 0
        self._endpoints: dict[str, OpenAIEndpoint] = {}
        self._held: dict[str, list[Job]] = {}
        self._resume_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def admit(self, label: str, model: ModelConfig) -> None:
        """Open a session for a model that is new here, and greet its server."""
        if label in self._endpoints or not isinstance(model, OpenAIModel):
            return
        self.limit = max(self.limit, model.concurrency())
        self._endpoints[label] = OpenAIEndpoint.connect(model)
        self._held[label] = []
        self._spawn(self._greet(label))

    def push(self, job: Job) -> None:
        """Queue a job, or hold it until its server was greeted."""
        if job.label in self._held:
            self._held[job.label].append(job)
        else:
            super().push(job)

    def pump(self) -> None:
        """Send as much as the limit allows, unless the server asked us to wait."""
        loop = asyncio.get_running_loop()
        if self._queue and loop.time() < self._resume_at:
            if self._timer is None:
                self._timer = loop.call_at(self._resume_at, self._resume)
            return
        while self._queue and self.in_flight < self.limit:
            self.in_flight += 1
            self._spawn(self._send(self._pop()))

    def _resume(self) -> None:
        self._timer = None
        self.pump()

    def clear(self) -> None:
        """Forget what waits or is held, and send nothing more."""
        super().clear()
        self._held = {label: [] for label in self._held}

    async def close(self) -> None:
        """Close the sessions and abandon what is in flight."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for endpoint in self._endpoints.values():
            await endpoint.close()

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, job: Job) -> None:
        completion = await self._endpoints[job.label].complete(job.request)
        job.attempts += 1
        self.in_flight -= 1
        if completion.transient and job.attempts <= self._endpoints[job.label].config.max_retries:
            self._again(job, completion)
        else:
            self.owner.settle(job, replace(completion, attempts=job.attempts))
            if not completion.fatal:
                self._release(job.label)
        self.pump()

    def _again(self, job: Job, completion: Completion) -> None:
        loop = asyncio.get_running_loop()
        self.owner.tally.retried += 1
        if completion.error == "rate_limited" and completion.wait_s:
            self._resume_at = max(self._resume_at, loop.time() + completion.wait_s)
        loop.call_later(backoff(job.attempts - 1, completion.wait_s), super().push, job)

    async def _greet(self, label: str) -> None:
        """Let a model's questions go if its server knows it; where it does not say so, one of them goes ahead."""
        known = await self._ask_for_models(label)
        if known is not None and self._endpoints[label].config.model in known:
            self._release(label)
        elif known is not None and self._held[label]:
            super().push(self._held[label].pop(0))

    def _release(self, label: str) -> None:
        for job in self._held.pop(label, []):
            super().push(job)

    async def _ask_for_models(self, label: str) -> Sequence[str] | None:
        """The models that the server names, none if it does not say; None if it cannot be used at all."""
        config = self._endpoints[label].config
        if (variable := missing_key(config)) is not None:
            self.owner.unusable(label, f"the environment variable {variable} is not set; set it to the key")
            return None
        for attempt in range(config.max_retries + 1):
            try:
                return await self._endpoints[label].models() or ()
            except openai.APIStatusError as error:
                failure = read_failure(error)
                if failure.fatal:
                    words = self._endpoints[label].without_key(failure.detail)
                    self.owner.unusable(label, f"the server answers {words}; check the key and api_key_env")
                    return None
                if not failure.transient:
                    return ()
            except (ValueError, TypeError) as error:
                self.owner.unusable(label, f"no request can be made ({type(error).__name__}); check the key")
                return None
            except Exception:
                pass  # nobody there yet: a server that is starting gets the same patience as a call
            await asyncio.sleep(backoff(attempt, None))
        self.owner.unusable(label, "nobody answers there; start the server or correct base_url")
        return None


class EngineLane(Lane):
    """The questions for a model in this process, answered a batch at a time in a thread."""

    def __init__(self, owner: Owner, engine: Engine) -> None:
        super().__init__(owner)
        self._engine = engine
        self._busy = False

    def push(self, job: Job) -> None:
        """Queue a job; the batch is formed once the loop has taken in all that came with it."""
        if self._closed:
            return
        heapq.heappush(self._queue, (self._sign * job.rank, job.order, next(self._numbers), job))
        if not self._busy:
            self._busy = True
            asyncio.get_running_loop().call_soon(self.pump)

    def pump(self) -> None:
        """Form the next batch of the most urgent questions."""
        batch = [self._pop() for _ in range(min(len(self._queue), self._engine.batch_size))]
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
            self.owner.unusable(batch[0].label, f"its engine failed: {type(error).__name__}: {error}")
            return
        completions = done.result()
        if len(completions) != len(batch):
            why = f"its engine gave {len(completions)} answers to {len(batch)} questions"
            self.owner.unusable(batch[0].label, why)
            return
        for job, completion in zip(batch, completions, strict=True):
            self.owner.settle(job, completion)
        self.pump()
