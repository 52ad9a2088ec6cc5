"""What a worker of a cluster does: it answers call batches, with one dispatcher for each run that asks it."""

import os
import secrets
import socket
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from pydantic import TypeAdapter

from kasasagi.blocks.canonical import digest_bytes
from kasasagi.blocks.cluster.call_batches import (
    ALIVE,
    CLAIM,
    MODELS,
    CallBatch,
    WorkerReport,
    read_questions,
    read_segments,
    segments_in,
    write_segment,
)
from kasasagi.blocks.cluster.segments import SegmentWriter
from kasasagi.blocks.destinations.errors import DestinationError
from kasasagi.blocks.destinations.remote_folder import Store
from kasasagi.blocks.dispatch.dispatcher import Dispatcher, ModelUnusableError, StoppedError
from kasasagi.blocks.dispatch.pending_requests import Question
from kasasagi.blocks.engines.kinds import engines_for
from kasasagi.blocks.ledger.store import LedgerEntry, LedgerError, row_of
from kasasagi.blocks.ledger.writer import Writer
from kasasagi.blocks.models.kinds import ModelConfig, OpenAIModel
from kasasagi.blocks.models.llm import Engine

WATCH_S = 1.0
LEASE_S = 30.0
DRAIN_S = 60.0
STOP, HOLD, GO = "stop", "hold", "go"

_MODELS: TypeAdapter[dict[str, ModelConfig]] = TypeAdapter(dict[str, ModelConfig])
_ENGINES: dict[str, dict[str, Engine]] = {}
_SESSIONS: dict[str, "WorkerSession"] = {}
_LOCK = threading.Lock()


class WorkerDispatcher(Dispatcher):
    """A dispatcher whose answers are kept on the shared storage instead of in a ledger."""

    def __init__(
        self, models: Mapping[str, ModelConfig], engines: Mapping[str, Engine], store: Store, flush_s: float
    ) -> None:
        self._store, self._flush_s = store, flush_s
        self.segments: SegmentWriter
        super().__init__(models, engines, Path())

    def _new_writer(self) -> Writer:
        self.segments = SegmentWriter(self._store, self._flush_s, self._on_written, self.report_unwritable)
        return self.segments

    def _watch_disk(self) -> None:
        """Nothing is kept on this machine's disk."""


class WorkerSession:
    """All that a process of the cluster has for one run: its dispatcher, and an eye on whether the run still asks."""

    def __init__(self, batch: CallBatch) -> None:
        self.store = Store(batch.storage)
        self._root = batch.root
        models, engines = _models_for(self.store, batch)
        self.dispatcher = WorkerDispatcher(models, engines, self.store, batch.flush_s)
        self._claims: dict[str, str] = {}
        self._ending = threading.Lock()
        self._ended = threading.Event()
        self._command, self._command_at = "", time.monotonic()
        self._apply_command()
        threading.Thread(target=self._watch, name="run-watch", daemon=True).start()

    def answer(self, batch: CallBatch) -> tuple[int, int]:
        """Answer the unanswered questions of a batch; gives its questions, and those that were answered before.

        Raises StoppedError, ModelUnusableError, LedgerError, DestinationError.
        """
        self._claim(batch)
        try:
            entries, _ = read_segments(self.store, segments_in(self.store.names(batch.folder)))
            questions = read_questions(self.store, batch)
            found = {entry.key for entry in entries}
            asked = [question for question in questions if question.key not in found]
            self._ask(batch, asked)
            return len(questions), len(questions) - len(asked)
        finally:
            self._claims.pop(batch.folder, None)

    def _ask(self, batch: CallBatch, asked: list[Question]) -> None:
        keys = [question.key for question in asked]
        self.dispatcher.segments.expect(keys, batch.folder)
        try:
            answers = dict(zip(keys, self.dispatcher.ask(asked), strict=True))
        finally:
            self.dispatcher.segments.give_up(keys)
        passing = {key: answer for key, answer in answers.items() if answer.transient}
        if passing:
            rows = [row_of(LedgerEntry(key, "", answer), time.time()) for key, answer in passing.items()]
            write_segment(self.store, batch.folder, f"passing-{secrets.token_hex(6)}", rows)

    def _claim(self, batch: CallBatch) -> None:
        """Claim the batch for this attempt, so that an earlier one that is still alive stops."""
        self._claims[batch.folder] = secrets.token_hex(6)
        self.store.write_whole(f"{batch.folder}/{CLAIM}", self._claims[batch.folder].encode())

    @property
    def has_ended(self) -> bool:
        """Whether nothing is sent any more."""
        return self._ended.is_set() or self.dispatcher.stopped_by is not None

    def end(self) -> None:
        """Send nothing more, keep what is in flight when it comes, and let go of everything."""
        self._ended.set()
        with self._ending:
            self.dispatcher.close(DRAIN_S)
        with _LOCK:
            for name, session in list(_SESSIONS.items()):
                if session is self:
                    del _SESSIONS[name]

    def _watch(self) -> None:
        while not self._ended.wait(WATCH_S):
            try:
                self._apply_command()
                self._check_claims()
            except DestinationError:
                pass  # a storage that cannot be read for a while is a run that says nothing for a while
            if time.monotonic() - self._command_at > LEASE_S:
                self.dispatcher.stop(StoppedError("the run that asked has sent nothing for a while"))
            if self.dispatcher.stopped_by is not None:
                self.end()

    def _apply_command(self) -> None:
        """Apply the run's command: continue, wait, or stop; no command means that the run is gone."""
        command = (self.store.read(f"{self._root}/{ALIVE}") or STOP.encode()).decode()
        if command == self._command:
            return
        self._command, self._command_at = command, time.monotonic()
        if command.startswith(STOP):
            self.dispatcher.stop(StoppedError("the run that asked has ended"))
        elif command.startswith(HOLD):
            self.dispatcher.hold()
        else:
            self.dispatcher.release()

    def _check_claims(self) -> None:
        for folder, token in list(self._claims.items()):
            there = self.store.read(f"{folder}/{CLAIM}")
            if there != token.encode() and folder in self._claims:
                self.dispatcher.stop(StoppedError("another worker has taken over the batch"))


def answer_batch(batch: CallBatch) -> WorkerReport:
    """Answer a batch in this process. What went wrong with all of it stands in the report.

    Raises:
        DestinationError: If the storage cannot be read.
    """
    worker = f"{socket.gethostname()}:{os.getpid()}"
    outcome = WorkerReport(worker=worker, gpus=os.environ.get("CUDA_VISIBLE_DEVICES"))
    session = _session(batch)
    try:
        answered, found = session.answer(batch)
        return outcome.model_copy(update={"answered": answered, "found": found})
    except ModelUnusableError as error:
        outcome = outcome.model_copy(update={"unusable": str(error)})
    except StoppedError as error:
        outcome = outcome.model_copy(update={"stopped": str(error)})
    except LedgerError as error:
        outcome = outcome.model_copy(update={"unwritable": str(error)})
    session.end()
    return outcome


def _session(batch: CallBatch) -> WorkerSession:
    """Return the session of a batch's run, which is made for its first batch here."""
    name = f"{batch.storage} {batch.root}"
    with _LOCK:
        if name not in _SESSIONS or _SESSIONS[name].has_ended:
            _SESSIONS[name] = WorkerSession(batch)
        return _SESSIONS[name]


def _models_for(store: Store, batch: CallBatch) -> tuple[dict[str, ModelConfig], dict[str, Engine]]:
    """Return the models of a run with this process's share of each limit, and the engines, which outlive the run."""
    data = store.read(f"{batch.root}/{MODELS}")
    if data is None:
        raise DestinationError(
            f"{batch.storage} does not hold {batch.root}/{MODELS}: "
            "runtime.storage must be a folder that all workers see"
        )
    models = _MODELS.validate_json(data)
    engines = _ENGINES.setdefault(digest_bytes(data), {})
    if not engines:
        engines.update(engines_for(models))
    seats = _seats()
    return {label: share_of(model, seats, batch.at_once) for label, model in models.items()}, engines


def share_of(model: ModelConfig, seats: int, at_once: int) -> ModelConfig:
    """Return a model with a process's share of its limits, by the seats that it has, so that all together keep them."""
    if not isinstance(model, OpenAIModel):
        return model
    address = model.addresses[0]

    def part(limit: int | None) -> int | None:
        return None if limit is None else max(1, limit * seats // max(seats, at_once))

    changes = {
        "max_concurrency": part(model.most_concurrency(address)),
        "start_concurrency": part(model.first_concurrency(address)),
        "requests_per_minute": part(model.requests_per_minute),
        "tokens_per_minute": part(model.tokens_per_minute),
    }
    return model.model_copy(update=changes)


def _seats() -> int:
    """Return how many call batches this process works on at once: a Dask worker's threads, 1 in a process of Ray's."""
    if "distributed" in sys.modules:
        from distributed import get_worker

        try:
            return int(get_worker().state.nthreads)
        except ValueError:  # no worker of Dask's
            return 1
    return 1
