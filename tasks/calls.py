"""The task that answers calls on a worker of a cluster."""

from typing import Any

from prefect import task

from kasasagi.blocks.cluster.call_batches import CallBatch
from kasasagi.blocks.cluster.worker import answer_batch


@task(name="calls", retries=0, persist_result=False, task_run_name="calls-{batch[name]}")
def calls_task(batch: dict[str, Any]) -> dict[str, Any]:
    """Answer one batch of calls on a worker of a cluster and return its outcome as plain data."""
    return answer_batch(CallBatch.model_validate(batch)).model_dump()
