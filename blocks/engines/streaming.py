"""Engines that answer each request as soon as it is finished, so that no request waits for the longest of a batch.

A thread of the engine's own loads it with the first request, feeds it, and gives the device up where another engine
waits for it and there is nothing to do.
"""

import asyncio
import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol, runtime_checkable

from kasasagi.blocks.dispatch.lanes import DispatcherCallbacks, Job, Lane
from kasasagi.blocks.engines.device_lock import DeviceLock
from kasasagi.blocks.models.llm import Completion, Request

IDLE_S = 0.2
CLOSES_WITHIN_S = 60.0
Done = Callable[[Completion], None]
QueuedRequest = tuple[Request, Done]


@runtime_checkable
class StreamingEngine(Protocol):
    """An engine that answers each request as soon as it is finished; batch_size is how many it is given at once."""

    batch_size: int

    def submit(self, request: Request, done: Done) -> None:
        """Take a request; done is called with its completion, in another thread."""
        ...

    def close(self) -> None:
        """Let go of the weights; what is not finished is answered with a passing error."""
        ...


class EngineFailedError(Exception):
    """An engine cannot be started or has broken down: why, and what to do."""


class EngineThread:
    """The thread that feeds an engine; a subclass says how it is loaded, how it works and how it lets go."""

    def __init__(self, device_lock: DeviceLock, batch_size: int) -> None:
        self.batch_size = batch_size
        self.closing = False
        self._device_lock = device_lock
        self._requests: queue.SimpleQueue[QueuedRequest | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._backlog: deque[QueuedRequest] = deque()
        self._running: dict[str, Done] = {}
        self._number = 0

    def load(self) -> None:
        """Load the weights. Raises EngineFailedError."""
        raise NotImplementedError

    def begin(self, name: str, request: Request) -> Completion | None:
        """Begin a request; gives its completion where it has one at once."""
        raise NotImplementedError

    def step(self) -> Sequence[tuple[str, Completion]]:
        """Go on with what was begun, and give what is finished, by name. Raises EngineFailedError."""
        raise NotImplementedError

    def unload(self) -> None:
        """Let go of the weights and of the device's memory, if they were loaded."""
        raise NotImplementedError

    def submit(self, request: Request, done: Done) -> None:
        """Take a request; the first one starts the engine."""
        with self._starting:
            self._requests.put((request, done))
            if self._thread is None:
                self.closing = False
                self._thread = threading.Thread(target=self._serve, name="engine", daemon=True)
                self._thread.start()

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        """Answer all requests, in their order."""
        answers: queue.SimpleQueue[tuple[int, Completion]] = queue.SimpleQueue()
        for number, request in enumerate(requests):
            self.submit(request, partial(_put, answers, number))
        found = dict(answers.get() for _ in requests)
        return [found[number] for number in range(len(requests))]

    def close(self) -> None:
        """End the thread and let go of the weights."""
        with self._starting:
            thread, self._thread = self._thread, None
            self.closing = True
        if thread is not None:
            self._requests.put(None)
            thread.join(CLOSES_WITHIN_S)

    def _serve(self) -> None:
        while not self.closing and (item := self._requests.get()) is not None:
            self._backlog.append(item)
            if not self._device_lock.acquire(self, lambda: self.closing):
                break
            try:
                self.load()
                self._work()
            except Exception as error:
                words = str(error) if isinstance(error, EngineFailedError) else f"{type(error).__name__}: {error}"
                self._answer_all(Completion(error="engine_failed", detail=words, fatal=True))
            finally:
                self.unload()
                self._device_lock.release(self)
        self._answer_all(Completion(error="stopped", detail="the run was stopped", transient=True))

    def _work(self) -> None:
        """Answer until there is nothing to do and the device is wanted, or until all is closed."""
        while (self._backlog or self._running) and not self.closing:
            while self._backlog:
                self._begin(*self._backlog.popleft())
            if self._running:
                for name, completion in self.step():
                    self._running.pop(name)(completion)
            self._take_in()

    def _begin(self, request: Request, done: Done) -> None:
        self._number += 1
        name = str(self._number)
        self._running[name] = done
        if (completion := self.begin(name, request)) is not None:
            self._running.pop(name)(completion)

    def _take_in(self) -> None:
        """Take what was asked meanwhile; where nothing runs, wait for something, or until the device is wanted."""
        while not (self._running or self._backlog or self.closing):
            try:
                self._take(self._requests.get(timeout=IDLE_S))
            except queue.Empty:
                if self._device_lock.is_contended():
                    return
        while not self._requests.empty():
            self._take(self._requests.get())

    def _take(self, item: QueuedRequest | None) -> None:
        if item is not None:
            self._backlog.append(item)

    def _answer_all(self, completion: Completion) -> None:
        """Give everyone who waits the same answer."""
        while not self._requests.empty():
            self._take(self._requests.get())
        waiting = [*self._running.values(), *(done for _, done in self._backlog)]
        self._running.clear()
        self._backlog.clear()
        for done in waiting:
            done(completion)


def _put(answers: "queue.SimpleQueue[tuple[int, Completion]]", number: int, completion: Completion) -> None:
    answers.put((number, completion))


class StreamingLane(Lane):
    """The questions for an engine that answers each as soon as it is finished."""

    def __init__(self, callbacks: DispatcherCallbacks, engine: StreamingEngine) -> None:
        super().__init__(callbacks)
        self._engine = engine
        self._loop = asyncio.get_running_loop()
        self._answered: deque[tuple[Job, Completion]] = deque()
        self._settles_soon = False

    def pump(self) -> None:
        """Keep the engine's batch full with the most urgent questions."""
        while self._queue and self.in_flight < self._engine.batch_size and not self.held:
            self.in_flight += 1
            job = self._pop()
            self._engine.submit(job.request, self._hand_over(job))

    async def close(self) -> None:
        """Let go of the engine's weights."""
        await self._loop.run_in_executor(None, self._engine.close)

    def _hand_over(self, job: Job) -> Done:
        return lambda completion: self._in_loop(job, completion)

    def _in_loop(self, job: Job, completion: Completion) -> None:
        """From the engine's thread: what one of its steps has answered is settled at one go.

        The flag falls before the answers are taken, so an answer that comes meanwhile is taken now or wakes the loop.
        """
        self._answered.append((job, completion))
        if not self._settles_soon and not self._loop.is_closed():
            self._settles_soon = True
            self._loop.call_soon_threadsafe(self._settle_all)

    def _settle_all(self) -> None:
        self._settles_soon = False
        while self._answered:
            job, completion = self._answered.popleft()
            self.in_flight -= 1
            self.callbacks.settle(job, completion)
        self.pump()
