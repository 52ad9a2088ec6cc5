"""The flow's side of a cluster: it sends call batches, takes in their answers, and signals that the run is alive."""

import itertools
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kasasagi.blocks.cluster.call_batches import (
    ALIVE,
    BATCHES,
    CLAIM,
    MODELS,
    CallBatch,
    WorkerReport,
    batch_name,
    plain_models,
    read_segments,
    segments_in,
    write_questions,
)
from kasasagi.blocks.cluster.worker import GO, STOP, WATCH_S
from kasasagi.blocks.destinations.errors import DestinationError, one_sentence
from kasasagi.blocks.destinations.remote_folder import Store
from kasasagi.blocks.dispatch.lanes import Job
from kasasagi.blocks.dispatch.pending_requests import Question
from kasasagi.blocks.ledger.store import Ledger, LedgerEntry
from kasasagi.blocks.models.kinds import ModelConfig
from kasasagi.blocks.models.llm import Completion

HEARTBEAT_S = 5.0
IN_ONE_COMMIT = 1_000
Send = Callable[[CallBatch, Mapping[str, Any]], WorkerReport]
"""Has a batch answered by a worker that has those resources, and waits for it; raises what a lost worker raises."""


@dataclass
class BatchAnswers:
    """What came of a batch: answers that are in the ledger, failures that may pass, and why the rest is missing."""

    kept: dict[str, Completion] = field(default_factory=dict)
    passing: dict[str, Completion] = field(default_factory=dict)
    why: str = ""
    unusable: str | None = None
    unwritable: str | None = None


@dataclass(frozen=True)
class Cluster:
    """A cluster as a run uses it: how batches get there, where they lie, and how many are in work at once."""

    address: str
    storage: str
    send: Send
    at_once: int
    batch_calls: int
    flush_s: float


class ClusterTransport:
    """The batches of one run. Its methods may be called from several threads."""

    def __init__(self, cluster: Cluster, root: str, ledger_folder: Path, models: Mapping[str, ModelConfig]) -> None:
        self.address = cluster.address
        self.at_once, self.batch_calls = cluster.at_once, cluster.batch_calls
        self._cluster, self._root, self._ledger_folder = cluster, root, ledger_folder
        self._store = Store(cluster.storage)
        self._store.write_whole(f"{root}/{MODELS}", plain_models(models))
        self._command, self._numbers = GO, itertools.count()
        self._changed = threading.Event()
        self._ended = False
        self._write_heartbeat()
        self._thread = threading.Thread(target=self._send_heartbeats, name="run-heartbeat", daemon=True)
        self._thread.start()

    def send_command(self, command: str) -> None:
        """Send all workers the command to continue, to hold or to stop; after a stop no other command is sent."""
        if self._command != STOP:
            self._command = command
            self._changed.set()

    def send(self, jobs: Sequence[Job], options: Mapping[str, Any]) -> BatchAnswers:
        """Have some questions answered on the cluster, and their answers kept in the ledger.

        Raises LedgerError, DestinationError.
        """
        first = min(jobs, key=lambda job: (-job.rank, job.order))
        batch = self._batch(batch_name(first.rank, first.order))
        write_questions(
            self._store, batch, [Question(job.label, job.key, job.request, prefix=job.prefix) for job in jobs]
        )
        answers = BatchAnswers(why="the workers gave no answer")
        try:
            report = self._cluster.send(batch, options)
            answers.why = report.stopped or answers.why
            answers.unusable, answers.unwritable = report.unusable, report.unwritable
        except Exception as error:  # whatever a cluster raises, what was answered is there
            answers.why = f"{type(error).__name__}: {one_sentence(error)}"
        answers.kept, answers.passing = self._collect_answers(batch.folder)
        return answers

    def finish(self) -> None:
        """Tell the workers that the run has ended, take in what came late, and leave nothing on the storage.

        Raises LedgerError, DestinationError.
        """
        self.send_command(STOP)
        self._ended = True
        self._changed.set()
        self._thread.join()
        self._collect_answers(self._root)
        self._store.discard([f"{self._root}/{MODELS}", f"{self._root}/{ALIVE}"])

    def _batch(self, name: str) -> CallBatch:
        cluster = self._cluster
        return CallBatch(
            storage=cluster.storage, root=self._root, name=name, at_once=cluster.at_once, flush_s=cluster.flush_s
        )

    def _collect_answers(self, folder: str) -> tuple[dict[str, Completion], dict[str, Completion]]:
        return collect_answers(self._store, self._ledger_folder, folder)

    def _write_heartbeat(self) -> None:
        self._store.write_whole(f"{self._root}/{ALIVE}", f"{self._command} {next(self._numbers)}".encode())

    def _send_heartbeats(self) -> None:
        while not self._ended:
            self._changed.wait(HEARTBEAT_S)
            self._changed.clear()
            try:
                self._write_heartbeat()
            except DestinationError:
                continue  # a storage that fails for a while is asked again; workers wait as long


def collect_answers(
    store: Store, ledger_folder: Path, folder: str
) -> tuple[dict[str, Completion], dict[str, Completion]]:
    """Move the answers in a folder's segments into the ledger, then empty the folder.

    Gives what the ledger has now, and failures that may pass, by key. Raises LedgerError, DestinationError.
    """
    names = store.names(folder)
    segments = segments_in(names)
    entries, passing = read_segments(store, segments)
    kept = _keep(ledger_folder, entries)
    store.discard([name for name in names if f"/{BATCHES}/" in name])
    return kept, passing


def _keep(ledger_folder: Path, entries: Sequence[LedgerEntry]) -> dict[str, Completion]:
    kept: dict[str, Completion] = {}
    if entries:
        ledger = Ledger(ledger_folder)
        try:
            for start in range(0, len(entries), IN_ONE_COMMIT):
                kept.update(ledger.append(entries[start : start + IN_ONE_COMMIT]))
        finally:
            ledger.close()
    return kept


def recover_results(store: Store, ledger_folder: Path, workspace: str, living: Collection[str]) -> int:
    """Recover what workers have answered for runs that are gone, stop those workers, and return the number of answers.

    workspace is the workspace's folder on the storage, living are its active runs. What was sent and not answered
    then is lost; what comes later is taken in by a later run. Raises LedgerError, DestinationError.
    """
    names = store.names(workspace)
    gone = sorted({_run_of(name) for name in names} - set(living))
    for run in gone:
        store.write_whole(f"{workspace}/{run}/{ALIVE}", STOP.encode())
    if any(name.endswith(f"/{CLAIM}") and _run_of(name) in gone for name in names):
        time.sleep(2 * WATCH_S)  # workers notice it meanwhile
    count = 0
    for run in gone:
        count += len(collect_answers(store, ledger_folder, f"{workspace}/{run}")[0])
        store.discard([f"{workspace}/{run}/{MODELS}", f"{workspace}/{run}/{ALIVE}"])
    return count


def _run_of(name: str) -> str:
    return name.split("/")[1]
