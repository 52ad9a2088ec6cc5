"""The lane of questions that are answered on a cluster: they are sent in call batches, the most urgent first."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from kasasagi.blocks.cluster.call_batches import ClusterError
from kasasagi.blocks.cluster.transport import BatchAnswers, ClusterTransport
from kasasagi.blocks.destinations.errors import DestinationError
from kasasagi.blocks.dispatch.dispatcher import ModelUnusableError
from kasasagi.blocks.dispatch.lanes import DispatcherCallbacks, Job, Lane
from kasasagi.blocks.ledger.store import LedgerError
from kasasagi.blocks.models.llm import Completion

FEWEST_IN_A_BATCH = 8
MOST_ATTEMPTS = 4


class ClusterCallbacks(DispatcherCallbacks, Protocol):
    """The methods of the dispatcher that this lane calls beside those of every lane."""

    def accept_stored(self, job: Job, completion: Completion) -> None:
        """Accept an answer that is already in the ledger."""

    def report_unwritable(self, error: LedgerError) -> None:
        """End the run: the ledger cannot be written."""

    def stop(self, error: BaseException) -> None:
        """End the run."""


class ClusterLane(Lane):
    """Sends requests to the cluster in call batches, for models with equal placement; a limited number run at once."""

    def __init__(self, callbacks: ClusterCallbacks, transport: ClusterTransport, options: Mapping[str, Any]) -> None:
        super().__init__(callbacks)
        self._cluster_callbacks = callbacks
        self._transport = transport
        self._options = options
        self._free = transport.at_once
        self._threads = ThreadPoolExecutor(transport.at_once, "call-batch")

    def push(self, job: Job) -> None:
        """Queue a job; batches are made once the loop has taken in all that came with it."""
        if self._closed:
            return
        self._enqueue(job)
        self._pump_soon()

    def pump(self) -> None:
        """Send batches as long as there are free workers; few questions are spread over all of them."""
        while self._queue and self._free and not self.held:
            fair = max(FEWEST_IN_A_BATCH, -(-len(self._queue) // self._free))
            count = min(len(self._queue), fair, self._transport.batch_calls)
            jobs = [self._pop() for _ in range(count)]
            self._free -= 1
            self.in_flight += len(jobs)
            self._spawn(self._send(jobs))

    async def close(self) -> None:
        """Stop waiting for batches; their results are read when the run ends, or by the next run."""
        await super().close()
        self._threads.shutdown(wait=False)

    async def _send(self, jobs: list[Job]) -> None:
        loop = asyncio.get_running_loop()
        try:
            answers = await loop.run_in_executor(self._threads, self._transport.send, jobs, self._options)
            self._deliver(jobs, answers)
        except LedgerError as error:
            self._cluster_callbacks.report_unwritable(error)
        except DestinationError as error:
            self._cluster_callbacks.stop(ClusterError(str(error)))
        finally:
            self._free += 1
            self.in_flight -= len(jobs)
        self.pump()

    def _deliver(self, jobs: list[Job], answers: BatchAnswers) -> None:
        missing = []
        for job in jobs:
            if (kept := answers.kept.get(job.key)) is not None:
                self._cluster_callbacks.accept_stored(job, kept)
            elif (passing := answers.passing.get(job.key)) is not None:
                self.callbacks.settle(job, passing)
            else:
                missing.append(job)
        if answers.unusable is not None:
            self._cluster_callbacks.stop(ModelUnusableError(answers.unusable))
        elif answers.unwritable is not None:
            self._cluster_callbacks.report_unwritable(LedgerError(answers.unwritable))
        elif missing:
            self._retry(missing, answers.why)

    def _retry(self, jobs: list[Job], why: str) -> None:
        """Ask again what a lost worker has not answered; a cluster that loses it every time ends the run."""
        if max(job.attempts for job in jobs) + 1 >= MOST_ATTEMPTS:
            self._cluster_callbacks.stop(
                ClusterError(
                    f"the cluster at {self._transport.address} lost the same calls {MOST_ATTEMPTS} times ({why}): "
                    "look at its workers' logs and run again, what was paid for is kept"
                )
            )
            return
        for job in jobs:
            job.attempts += 1
            self.callbacks.counters.retried += 1
            self.push(job)
