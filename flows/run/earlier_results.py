"""Results that earlier runs have left of a chunk: they count as long as their shards and calls are as they were."""

import json
from typing import Any

from pydantic import ValidationError

from kasasagi.blocks.workspace.shards import Handle
from kasasagi.tasks.asking import ChunkJob, Session, is_stale
from kasasagi.tasks.stage_task import result_key


def earlier_handle(session: Session, job: ChunkJob) -> Handle | None:
    """Return the result that an earlier run has left of a chunk, as Prefect will find it; None where none counts.

    Raises:
        LedgerError: If the ledger cannot be read.
    """
    file = session.run.workspace.results_folder / result_key(job)
    try:
        # Prefect's record holds the result as JSON within JSON, since the task's serializer is JSON.
        result: Any = json.loads(json.loads(file.read_bytes())["result"])
    except (OSError, ValueError, TypeError, KeyError):  # none is there, or it cannot be read
        return None
    return standing_handle(session, result)


def standing_handle(session: Session, result: Any) -> Handle | None:
    """Return an earlier run's result of a chunk if its shards and calls are as they were, else None.

    Raises:
        LedgerError: If the ledger cannot be read.
    """
    try:
        handle = Handle.model_validate(result)
    except ValidationError:  # another version of kasasagi made it
        return None
    there = handle.complete and session.run.workspace.shards.contains_all(handle.shards)
    return handle if there and not is_stale(session, handle) else None
