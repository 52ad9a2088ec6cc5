"""Call batches and segments: what lies on the storage that the flow and its workers share."""

import io
import secrets
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from kasasagi.blocks.configuration import Config
from kasasagi.blocks.destinations.remote_folder import Store
from kasasagi.blocks.dispatch.pending_requests import Question
from kasasagi.blocks.ledger.store import DamagedEntryError, LedgerEntry, LedgerError, Row, read_row
from kasasagi.blocks.models.llm import Completion

QUESTIONS = pa.schema([("label", pa.string()), ("key", pa.string()), ("request", pa.binary()), ("prefix", pa.string())])
ENTRIES = pa.schema(
    [
        ("key", pa.binary()),
        ("at", pa.float64()),
        ("model", pa.string()),
        ("error", pa.string()),
        ("reply", pa.binary()),
        ("seal", pa.binary()),
    ]
)
ALIVE = "alive"
MODELS = "models.json"
BATCHES = "parcels"
"""The folder of call batches in a run's folder on the storage; older versions wrote this name too."""
CLAIM = "claim"


class ClusterError(Exception):
    """The cluster, or the storage that it shares with us, cannot be used."""


class CallBatch(Config):
    """Some questions of one run, as they are handed to a task on the cluster: small, and without any text."""

    storage: str = Field(description="Address of the shared storage.")
    root: str = Field(description="The run's folder there.")
    name: str = Field(description="The batch's folder in the run's.")
    at_once: int = Field(description="Call batches in work at once, which share the endpoints' limits.")
    flush_s: float = Field(description="Seconds that answers may wait to be written together.")

    @property
    def folder(self) -> str:
        """Where its objects lie on the storage."""
        return f"{self.root}/{BATCHES}/{self.name}"


class WorkerReport(Config):
    """What a worker reports of a call batch; the answers lie on the storage."""

    worker: str = Field(description="Host and process of the worker.")
    gpus: str | None = Field(None, description="The GPUs that it was given.")
    answered: int = Field(0, description="Questions with an answer, or with a failure that may pass.")
    found: int = Field(0, description="Those of them that an earlier worker had answered.")
    stopped: str | None = Field(None, description="Why the batch was not finished, if the run had ended.")
    unusable: str | None = Field(None, description="Why a model cannot be used at all, which ends the run.")
    unwritable: str | None = Field(None, description="Why answers cannot be kept, which ends the run.")


def batch_name(rank: int, chunk: int) -> str:
    """Return a name that tells a batch's stage and chunk."""
    return f"{rank}-{chunk:06d}-{secrets.token_hex(6)}"


def write_questions(store: Store, batch: CallBatch, questions: Sequence[Question]) -> None:
    """Lay a batch's questions onto the storage. Raises DestinationError."""
    rows = [
        {"label": one.label, "key": one.key, "request": orjson.dumps(one.request), "prefix": one.prefix}
        for one in questions
    ]
    store.write_whole(f"{batch.folder}/questions.parquet", _bytes_of(pa.Table.from_pylist(rows, schema=QUESTIONS)))


def read_questions(store: Store, batch: CallBatch) -> list[Question]:
    """Return a batch's questions; none where the flow has taken it back. Raises DestinationError."""
    data = store.read(f"{batch.folder}/questions.parquet")
    rows = pq.read_table(io.BytesIO(data)).to_pylist() if data is not None else []
    return [Question(row["label"], row["key"], orjson.loads(row["request"]), prefix=row["prefix"]) for row in rows]


def write_segment(store: Store, folder: str, name: str, rows: Sequence[Row]) -> None:
    """Keep some sealed entries in one object that is whole or not there. Raises DestinationError."""
    columns = [
        pa.array(column, type=field.type) for column, field in zip(zip(*rows, strict=True), ENTRIES, strict=True)
    ]
    store.write_whole(f"{folder}/answers/{name}.parquet", _bytes_of(pa.table(columns, schema=ENTRIES)))


def read_segments(store: Store, names: Iterable[str]) -> tuple[list[LedgerEntry], dict[str, Completion]]:
    """Return the lasting answers in some segments, and the failures that may pass, by key.

    Raises DestinationError, and LedgerError where a segment is not what was written.
    """
    entries: list[LedgerEntry] = []
    passing: dict[str, Completion] = {}
    for name in names:
        for row in _rows_of(store, name):
            completion = _completion(store, name, row)
            if completion.transient:
                passing[row[0].hex()] = completion
            else:
                entries.append(LedgerEntry(row[0].hex(), row[2], completion))
    return entries, passing


def segments_in(names: Iterable[str]) -> list[str]:
    """Return those of some names that are segments."""
    return [name for name in names if "/answers/" in name and name.endswith(".parquet")]


def _rows_of(store: Store, name: str) -> list[Row]:
    data = store.read(name)
    if data is None:
        return []
    try:
        columns = pq.read_table(io.BytesIO(data), schema=ENTRIES).to_pydict()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _damage_error(store, name, error) from error
    return list(zip(*(columns[field.name] for field in ENTRIES), strict=True))


def _completion(store: Store, name: str, row: Row) -> Completion:
    try:
        return read_row(row)
    except DamagedEntryError as error:
        raise _damage_error(store, name, error) from error


def _damage_error(store: Store, name: str, error: Exception) -> LedgerError:
    why = " ".join(str(error).split())
    return LedgerError(f"the segment {store.address}/{name} is damaged ({why}): remove it; its calls are sent again")


def _bytes_of(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def plain_models(models: Mapping[str, Any]) -> bytes:
    """Return the models of a run as a worker reads them again; they hold names of keys, and no keys."""
    return orjson.dumps({label: model.model_dump(mode="json", exclude_unset=True) for label, model in models.items()})


def local_storage(workspace: Path) -> str:
    """Return the folder of call batches in a workspace."""
    return str(workspace / "cluster")
