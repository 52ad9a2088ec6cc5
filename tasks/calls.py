"""The task that answers calls on a worker of a cluster."""

from typing import Any

from prefect import task

from kasasagi.blocks.cluster.parcels import Parcel
from kasasagi.blocks.cluster.worker import answer_parcel


@task(name="calls", retries=0, persist_result=False, task_run_name="calls-{parcel[name]}")
def calls_task(parcel: dict[str, Any]) -> dict[str, Any]:
    """Answer one parcel of calls on a worker of a cluster and return its outcome as plain data."""
    return answer_parcel(Parcel.model_validate(parcel)).model_dump()
