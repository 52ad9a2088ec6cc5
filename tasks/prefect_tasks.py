"""The one place where stages meet Prefect: how a chunk becomes a task run, what is cached, and what is retried."""

from collections.abc import Callable
from typing import Any, Literal

from prefect import task
from prefect.cache_policies import CachePolicy
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import TaskRunContext
from prefect.tasks import Task

from blocks.budget import BudgetSpentError
from blocks.cluster.parcels import ClusterError, Parcel
from blocks.cluster.worker import answer_parcel
from blocks.dispatcher import ModelUnusableError, StoppedError
from blocks.ledger import LedgerError
from tasks.asking import ChunkJob
from tasks.gate.outcome import GateFailedError

Scope = Literal["scout", "whole"]
# What another attempt cannot mend: it would fail in the same way, or pay again.
FINAL = (
    BudgetSpentError,
    ClusterError,
    ModelUnusableError,
    StoppedError,
    LedgerError,
    GateFailedError,
    ValueError,
    TypeError,
    KeyboardInterrupt,
)
WORK: dict[str, dict[str, Callable[[ChunkJob], dict[str, Any]]]] = {}
"""What each run of this process does for a chunk of each stage: by run id, then by stage."""


GATES: dict[str, Callable[[str, Scope], list[dict[str, Any]]]] = {}
"""How each run of this process judges a stage at a scope."""
PUBLISH: dict[str, Callable[[], dict[str, Any]]] = {}
"""How each run of this process publishes."""


class ContentPolicy(CachePolicy):
    """A chunk is known by its stage's version, its configuration and its input, and by nothing else."""

    def compute_key(
        self, task_ctx: TaskRunContext, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any
    ) -> str | None:
        """The job's own cache key."""
        job: ChunkJob = inputs["job"]
        return f"kasasagi-{job.stage}-{job.cache_key}"


def survivable(failed: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Whether another attempt may help: yes for a lost worker or shard, no for what would only fail again."""
    error = state.result(raise_on_failure=False)
    return not isinstance(error, FINAL)


@task(
    cache_policy=ContentPolicy(),
    persist_result=True,
    result_serializer="json",
    retries=2,
    retry_delay_seconds=1,
    retry_condition_fn=survivable,
    task_run_name="{job.stage}-{job.chunk}",
)
def chunk_task(job: ChunkJob) -> dict[str, Any]:
    """Do one chunk of one stage and return its handle as plain data."""
    return WORK[job.run][job.stage](job)


@task(name="calls", retries=0, persist_result=False, task_run_name="calls-{parcel[name]}")
def calls_task(parcel: dict[str, Any]) -> dict[str, Any]:
    """Answer one parcel of calls on a worker of a cluster and return its outcome as plain data."""
    return answer_parcel(Parcel.model_validate(parcel)).model_dump()


@task(name="gate", retries=0, persist_result=False, task_run_name="gate-{stage}-{scope}")
def gate_task(run: str, stage: str, scope: Scope) -> list[dict[str, Any]]:
    """Judge a stage; a gate that fails is an outcome, and is never tried again."""
    return GATES[run](stage, scope)


@task(name="publish", retries=0, persist_result=False)
def publish_task(run: str) -> dict[str, Any]:
    """Write the dataset, whole or not at all."""
    return PUBLISH[run]()
