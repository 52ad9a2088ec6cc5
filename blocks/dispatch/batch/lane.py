"""The lane of a model that is asked in batches: questions are gathered, handed over in files, and waited for.

A batch is written down before it is handed over, and its id before it is waited for; so a run that was killed, or
another run that asks the same, finds the batch again and waits on. Answers are in the ledger before the note of their
batch is forgotten.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol

import openai

from kasasagi.blocks.dispatch.batch.backends import BatchBackend, BatchFolder, BatchServer, BatchStatus, LostBatchError
from kasasagi.blocks.dispatch.batch.notes import FOLDER, URLS, BatchNotes, new_name
from kasasagi.blocks.dispatch.batch.result_lines import in_portions, read_results, store_permanent, stored_answers
from kasasagi.blocks.dispatch.batch.retries import NO_ANSWER, TRANSIENT_ERRORS, UnansweredError, retry_until_answered
from kasasagi.blocks.dispatch.batch.splitting import Batch, split_into_batches
from kasasagi.blocks.dispatch.lanes import DispatcherCallbacks, Job, Lane, backoff
from kasasagi.blocks.endpoints.account_errors import with_remedy
from kasasagi.blocks.endpoints.adapted_requests import ADAPTABLE, Adaptation
from kasasagi.blocks.endpoints.failures import read_failure
from kasasagi.blocks.endpoints.openai import OpenAIEndpoint
from kasasagi.blocks.ledger.store import LedgerError
from kasasagi.blocks.models.kinds import BatchConfig, ModelConfig, OpenAIModel, missing_key
from kasasagi.blocks.models.llm import Completion

BATCH_GONE = Completion(error="batch_failed", detail="the server does not have the batch any more", transient=True)


class BatchCallbacks(DispatcherCallbacks, Protocol):
    """The methods of the dispatcher that this lane calls beside those of every lane; log takes a line for a person."""

    log: Callable[[str], None]

    def identity(self, label: str) -> str:
        """Return what the ledger knows a model by."""

    def accept_stored(self, job: Job, completion: Completion) -> None:
        """Accept an answer that is already in the ledger."""

    def report_unwritable(self, error: LedgerError) -> None:
        """End the run: the ledger cannot be written."""


class BatchLane(Lane):
    """The questions for one model of a recipe, in batches."""

    def __init__(self, callbacks: BatchCallbacks, ledger_folder: Path, label: str, model: OpenAIModel) -> None:
        super().__init__(callbacks)
        self._batch_callbacks = callbacks
        self._label, self._model = label, model
        self._config = model.batch or BatchConfig()
        self._ledger_folder = ledger_folder
        self._notes = BatchNotes(ledger_folder / FOLDER)
        self._waiting: dict[str, Job] = {}
        self._batch_of: dict[str, Batch] = {}
        self._unclaimed: dict[str, Completion] = {}
        self._noted: set[str] = set()
        self._adaptation = Adaptation()
        self._timer: asyncio.TimerHandle | None = None
        self._endpoint: OpenAIEndpoint | None = None
        self._backend: BatchBackend | None = None

    @property
    def _address(self) -> str:
        return self._model.addresses[0] if self._config.folder is None else str(Path(self._config.folder).resolve())

    def admit(self, label: str, model: ModelConfig) -> None:
        """Open a session and continue with the batches of earlier runs."""
        if self._backend is not None:
            return
        if self._config.folder is not None:
            self._backend = BatchFolder(Path(self._address))
        elif (variable := missing_key(self._model)) is not None:
            self.callbacks.report_unusable(label, f"the environment variable {variable} is not set; set it to the key")
            return
        else:
            self._endpoint = OpenAIEndpoint.connect(self._model, self._address)
            self._backend = BatchServer(self._endpoint.client, self._config)
        self._follow_noted_batches()

    def _follow_noted_batches(self) -> None:
        """Follow what batches for this model other runs have written down since the last look."""
        notes = self._notes.all(besides=self._noted)
        self._noted.update(note.name for note in notes)
        ours = self._address, self._batch_callbacks.identity(self._label)
        for note in notes:
            if (note.address, note.identity) == ours:
                self._follow(Batch(note))

    def push(self, job: Job) -> None:
        """Take a question: to the batch that asks it already, else into the next one."""
        if self._closed:
            return
        if (early := self._unclaimed.pop(job.key, None)) is not None:
            self._batch_callbacks.accept_stored(job, early)
            return
        if (batch := self._batch_of.get(job.key)) is not None:
            if batch.left:
                asyncio.get_running_loop().call_soon(self._retry_or_fail, job, NO_ANSWER, False)
            else:
                batch.jobs[job.key] = job
            return
        self._waiting[job.key] = job
        self._restart_timer()

    def pump(self) -> None:
        """Hand over what was gathered during a hold."""
        if self._waiting:
            self._restart_timer()

    def clear(self) -> None:
        """Submit nothing more; batches at the server continue, and the next run finds them."""
        self._closed = True
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()

    async def close(self) -> None:
        """Stop waiting and close the session."""
        await super().close()
        if self._endpoint is not None:
            await self._endpoint.close()

    def _restart_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        full = len(self._waiting) >= self._config.max_requests
        wait = 0.0 if full else self._config.gather_s
        self._timer = asyncio.get_running_loop().call_later(wait, self._send_batches)

    def _send_batches(self) -> None:
        """Make batches of what was gathered, each for one endpoint and within the server's limits."""
        if self.held:
            return
        self._follow_noted_batches()  # those of a run that has died meanwhile may ask the same
        for key in self._waiting.keys() & self._batch_of.keys():
            self.push(self._waiting.pop(key))
        jobs, self._waiting = list(self._waiting.values()), {}
        for name, url in URLS.items():
            some = [job for job in jobs if name in job.request]
            for part in split_into_batches(some, url, self._model.model, self._config, self._adaptation):
                self._spawn(self._hand_over(part, url, self._adaptation.copy()))

    async def _hand_over(self, part: dict[str, tuple[Job, bytes]], url: str, adaptation: Adaptation) -> None:
        """Write a batch down, hand it over, write its id down, and wait for it."""
        jobs = {key: job for key, (job, _) in part.items()}
        lines = [(key, line) for key, (_, line) in part.items()]
        identity, name = self._batch_callbacks.identity(self._label), new_name()
        self._noted.add(name)
        self.in_flight += 1
        try:
            with self._notes.handing_over(name):
                note = await asyncio.to_thread(
                    self._notes.begin, self._address, identity, self._model.key_variable(), url, lines, name
                )
                part.clear()
                batch = Batch(note, jobs, adaptation=adaptation)
                self._expect(batch)
                await self._submit(batch)
        except OSError as error:
            self._batch_callbacks.report_unwritable(self._write_error(error))
            return
        except UnansweredError as error:
            self._abandon(batch, error)
            return
        finally:
            self.in_flight -= 1
        if batch.note.batch_id is not None:
            await self._wait(batch)

    def _write_error(self, error: OSError) -> LedgerError:
        return LedgerError(
            f"the batch in {self._notes.folder} cannot be recorded ({error.strerror}), so it is not sent: "
            "make room and run again"
        )

    async def _submit(self, batch: Batch) -> None:
        """Send a batch, repeatedly if that may help; otherwise its requests fail temporarily.

        After a try that was not confirmed the server is asked first whether it has it. Raises OSError, UnansweredError.
        """
        failure = Completion(error="batch_failed", transient=True)
        for attempt in range(self._model.max_retries + 1):
            submitted = await self._try_to_submit(batch)
            if isinstance(submitted, str):
                self._confirm(batch, submitted)
                return
            failure = submitted
            if not failure.transient:
                self._drop(batch)
                self._report_refusal(failure)
                return
            await asyncio.sleep(backoff(attempt, failure.wait_s))
            if failure.error != "rate_limited" and (found := await self._find(batch)) is not None:
                self._confirm(batch, found)
                return
        self._drop(batch)
        self._fail(batch, failure, again=False)

    async def _try_to_submit(self, batch: Batch) -> str | Completion:
        """Return the id that the server gives a batch, or why it gave none. Raises OSError."""
        assert self._backend is not None
        try:
            return await self._backend.hand_over(batch.note, self._notes.requests_file(batch.note.name))
        except openai.APIStatusError as error:
            return read_failure(error)
        except TRANSIENT_ERRORS as error:
            return Completion(error="connection", detail=type(error).__name__, transient=True)

    def _confirm(self, batch: Batch, batch_id: str) -> None:
        batch.note = batch.note.model_copy(update={"batch_id": batch_id})
        self._notes.save(batch.note)

    async def _find(self, batch: Batch) -> str | None:
        """Return the id of a batch whose taking over was not confirmed; None: the server has none.

        Raises UnansweredError.
        """
        assert self._backend is not None
        backend = self._backend
        return await retry_until_answered(lambda: backend.find(batch.note), self._model.timeout_s)

    def _report_refusal(self, failure: Completion) -> None:
        words = failure.detail if self._endpoint is None else self._endpoint.without_key(failure.detail)
        why = f"the server accepts no batches: it answers {words}; remove batch from the model, or check the key"
        if failure.error == "redirected":
            why = words or ""
        self.callbacks.report_unusable(self._label, why, self._address)

    def _follow(self, batch: Batch) -> None:
        self._expect(batch)
        self._spawn(self._resume(batch))

    def _expect(self, batch: Batch) -> None:
        self._batch_of.update(dict.fromkeys(batch.note.keys, batch))

    async def _resume(self, batch: Batch) -> None:
        """Go on with a batch of an earlier process, or of one that is still handing it over."""
        if not await self._wait_for_handover(batch):
            await self._deliver_stored(batch)
            return
        if batch.note.batch_id is None:
            try:
                found = await self._find(batch)
            except UnansweredError as error:
                self._abandon(batch, error)
                return
            if found is None:
                self._requeue(batch)
                return
            self._confirm(batch, found)
        await self._wait(batch)

    async def _wait_for_handover(self, batch: Batch) -> bool:
        """Wait until no other task submits a batch; False where its note is gone, e.g. after a failure."""
        while True:
            busy = self._notes.is_handed_over(
                batch.note
            )  # asked before the note is read, so that its last state is read
            if self._notes.is_gone(batch.note.name):
                return False
            batch.note = self._notes.read(batch.note.name) or batch.note
            if not busy:
                return True
            await asyncio.sleep(self._config.poll_s)

    async def _deliver_stored(self, batch: Batch) -> None:
        """Take what another run has kept of a batch before it forgot the note; the rest goes into the next one."""
        try:
            found = await asyncio.to_thread(stored_answers, self._ledger_folder, batch.note.keys)
        except LedgerError as error:
            self._batch_callbacks.report_unwritable(error)
            return
        self._deliver(batch, found)
        self._requeue(batch)

    async def _wait(self, batch: Batch) -> None:
        """Poll a batch until it has ended, and take its results."""
        assert self._backend is not None
        backend, batch_id = self._backend, batch.note.batch_id or ""
        try:
            while True:
                status = await retry_until_answered(lambda: backend.status(batch_id), self._model.timeout_s)
                if status.ending is not None:
                    break
                await asyncio.sleep(self._config.poll_s)
            await self._settle(batch, status)
        except LostBatchError:
            self._drop(batch)
            self._log_loss(batch)
            self._fail(batch, BATCH_GONE, again=True)
        except UnansweredError as error:
            self._abandon(batch, error)
        except LedgerError as error:
            self._batch_callbacks.report_unwritable(error)

    async def _settle(self, batch: Batch, status: BatchStatus) -> None:
        """Keep all results of a batch, then forget its note, then ask again for what is missing.

        Raises UnansweredError, LedgerError.
        """
        missing: dict[str, Completion] = {}
        given = [await self._take_file(batch, name, missing) for name in status.results]
        self._drop(batch)
        if not all(given):
            self._log_loss(batch)
        if status.ending == "failed" and not status.too_much:
            words = status.words or "no reason given"
            self.callbacks.report_unusable(self._label, f"the server refused the batch ({words})", self._address)
            return
        detail = f"the batch {status.ending}" + (f": {status.words}" if status.words else "")
        unanswered = Completion(error="batch_failed", detail=detail, transient=True)
        for key, job in batch.jobs.items():
            if key not in batch.answered:
                self._retry_or_fail(job, missing.get(key, unanswered), again=status.ending != "cancelled")

    async def _take_file(self, batch: Batch, name: str, missing: dict[str, Completion]) -> bool:
        """Take the results of one file, some at a time; False where it is gone. Raises UnansweredError, LedgerError."""

        async def take() -> bool:
            assert self._backend is not None
            async for lines in in_portions(self._backend.results(name)):
                await self._take(batch, lines, missing)
            return True

        try:
            return await retry_until_answered(take, self._model.timeout_s)
        except LostBatchError:
            return False

    async def _take(self, batch: Batch, lines: list[bytes], missing: dict[str, Completion]) -> None:
        """Keep the answers in some lines in the ledger, and hand them to the callers."""
        wanted = frozenset(batch.note.keys) - batch.answered
        known = self._adaptation.notes()
        found = read_results(lines, wanted, batch.note.url == URLS["input"], partial(self._learn, batch))
        for note in self._adaptation.notes()[len(known) :]:
            self._batch_callbacks.log(f"model {self._label!r} at {self._address} {note}")
        signed = {key: self._with_attempts(batch, key, one) for key, one in found.items()}
        missing.update({key: one for key, one in signed.items() if one.transient})
        kept = await asyncio.to_thread(store_permanent, self._ledger_folder, batch.note.identity, signed)
        self._deliver(batch, kept)
        for one in signed.values():
            if one.fatal:
                self.callbacks.report_unusable(self._label, with_remedy(one.error, one.detail), self._address)

    def _learn(self, batch: Batch, key: str, status: int, words: str) -> bool:
        """Take a refusal; return whether the next batch would ask differently."""
        request = batch.jobs[key].request if key in batch.jobs else dict.fromkeys(ADAPTABLE)
        return self._adaptation.learn(status, words, batch.adaptation.apply(dict(request)))

    def _deliver(self, batch: Batch, kept: Mapping[str, Completion]) -> None:
        """Hand answers that are in the ledger to the callers."""
        for key, completion in kept.items():
            batch.answered.add(key)
            self._batch_of.pop(key, None)
            if (job := batch.jobs.get(key)) is not None:
                self._batch_callbacks.accept_stored(job, completion)
            else:
                self._unclaimed[key] = completion

    def _with_attempts(self, batch: Batch, key: str, completion: Completion) -> Completion:
        """Return a completion with its number of attempts, and without a key that the server may have repeated."""
        job = batch.jobs.get(key)
        hidden = completion if self._endpoint is None else self._endpoint.mask_keys(completion)
        return replace(hidden, attempts=job.attempts + 1 if job else 1)

    def _requeue(self, batch: Batch) -> None:
        """A batch that the server never took: its questions that have no answer go into the next one."""
        self._drop(batch)
        for key, job in batch.jobs.items():
            if key not in batch.answered:
                self.push(job)

    def _log_loss(self, batch: Batch) -> None:
        self._batch_callbacks.log(
            f"{self._address} no longer has the results of the batch {batch.note.batch_id}: these answers "
            "are lost, and their requests are sent, and paid for, again"
        )

    def _drop(self, batch: Batch) -> None:
        for key in batch.note.keys:
            self._batch_of.pop(key, None)
        self._notes.forget(batch.note)

    def _abandon(self, batch: Batch, error: UnansweredError) -> None:
        """Fail the requests temporarily and keep the note, because the server cannot be asked; the next run waits."""
        batch.left = True
        if error.refusal is not None:
            self._report_refusal(error.refusal)
        self._fail(batch, NO_ANSWER, again=False)

    def _fail(self, batch: Batch, completion: Completion, again: bool) -> None:
        for key, job in batch.jobs.items():
            if key not in batch.answered:
                self._retry_or_fail(job, completion, again)

    def _retry_or_fail(self, job: Job, completion: Completion, again: bool) -> None:
        """Ask again in the next batch, or fail the request temporarily."""
        job.attempts += 1
        if again and job.attempts <= self._model.max_retries and not self._closed:
            self.callbacks.counters.retried += 1
            self.callbacks.record_attempt(job, completion)
            self.callbacks.retry(job)
        else:
            self.callbacks.settle(job, replace(completion, attempts=job.attempts), self._address)
