"""How a stage becomes a Prefect task: what its chunks are cached by, when they are retried, how rows become chunks."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prefect import Task
from prefect.cache_policies import CachePolicy
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import TaskRunContext
from prefect.states import Cancelled
from prefect.transactions import get_transaction
from prefect.utilities.annotations import quote
from pydantic import ValidationError

from kasasagi.blocks.canonical import digest
from kasasagi.blocks.cluster.call_batches import ClusterError
from kasasagi.blocks.dispatch.budget import BudgetSpentError
from kasasagi.blocks.dispatch.dispatcher import ModelUnusableError, StoppedError
from kasasagi.blocks.ledger.store import LedgerError
from kasasagi.blocks.workspace.shards import Handle, Shard
from kasasagi.tasks.asking import ChunkJob, Session, is_stale
from kasasagi.tasks.context import Context, current
from kasasagi.tasks.gate.outcome import GateFailedError
from kasasagi.tasks.stage import Guess, Stage

FINAL = (
    BudgetSpentError,
    ClusterError,
    ModelUnusableError,
    StoppedError,
    LedgerError,
    GateFailedError,
    ValueError,
    TypeError,
)
"""Errors that another attempt cannot fix: it would fail in the same way, or pay again."""


class ContentPolicy(CachePolicy):
    """The cache key of a chunk: its stage's version, its configuration and its input, and nothing else."""

    def compute_key(
        self, task_ctx: TaskRunContext, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any
    ) -> str | None:
        """Return the chunk's own cache key."""
        job: ChunkJob | quote = inputs["job"]
        plain = job.unquote() if isinstance(job, quote) else job
        return result_key(plain)


def result_key(job: ChunkJob) -> str:
    """Return the key under which Prefect keeps the result of a chunk, which is also its file's name."""
    return f"kasasagi-{job.stage}-{job.cache_key}"


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


def survivable(failed: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Return whether another attempt may help: yes for a lost worker or shard, no for what would only fail again."""
    error = state.result(raise_on_failure=False)
    return not isinstance(error, FINAL)


def nothing(context: Context, prompts: int) -> Sequence[Guess]:
    """Return no calls, for a stage without a model."""
    return ()


def keep_all(context: Context, prompts: Shard, made: Sequence[Shard]) -> Shard:
    """Let all prompts continue."""
    return prompts


@dataclass(frozen=True, slots=True)
class Chunking:
    """How the rows of a stage are divided into chunks, and how the results of the chunks become rows again.

    Attributes:
        key_parts: What a chunk's cache key contains in addition to the stage's version and the chunk's input.
        makes: The table that a chunk makes; the first one if there are several.
        reads: The name under which a chunk reads its rows.
        at_most: The maximum number of calls for a number of prompts, as long as the prompts are not known.
        yields: The maximum number of rows that it makes of a number of rows.
        gather: Returns the prompts that continue, from the input and the chunks' results; None if none do.
        more_inputs: Further shards that it reads, by table, for a part of the prompts.
        needs_origin: Whether its chunks contain the origin of a prompt, which may change while the requests stay
            equal; those of a stage that makes the prompts again always do.
    """

    key_parts: Callable[[Context, ChunkJob], list[Any]]
    makes: tuple[str, ...]
    reads: str = "prompts"
    at_most: Callable[[Context, int], Sequence[Guess]] = nothing
    yields: Callable[[Context, int], int] = lambda context, rows: rows
    gather: Callable[[Context, Shard, Sequence[Shard]], Shard | None] = keep_all
    more_inputs: Callable[[Context, int], Mapping[str, Shard]] = lambda context, part: {}
    needs_origin: Callable[[Context], bool] = lambda context: False

    def keeps_origin(self, context: Context) -> bool:
        """Return whether its chunks contain the origin of a prompt."""
        return "prompts" in self.makes or self.needs_origin(context)


class StageTask(Task[[ChunkJob], dict[str, Any]]):
    """The Prefect task of a stage, which does one chunk and returns its handle as plain data.

    Attributes:
        stage: What is known of the stage without doing it.
        how: How its rows become chunks.
    """

    stage: Stage
    how: Chunking

    def job(self, context: Context, number: int, inputs: Mapping[str, Shard], **params: int) -> ChunkJob:
        """Return a chunk of this stage, whose cache key holds the stage's version, its key parts, and its inputs.

        Args:
            context: The run.
            number: The chunk's number within the stage.
            inputs: The shards that it reads, by table.
            params: Numbers that the chunk needs besides, such as the first draw.
        """
        name, version, run = self.stage.name, self.stage.version, context.session.run.id
        job = ChunkJob(stage=name, chunk=number, run=run, inputs=dict(inputs), cache_key="", params=params)
        shards = {table: shard.digest for table, shard in inputs.items()}
        parts = [name, version, number, shards, self.how.key_parts(context, job), []]  # [] keeps earlier keys good
        return job.model_copy(update={"cache_key": digest(parts)})

    def made(self, handle: Handle) -> Shard | None:
        """Return the shard that a chunk made, None where no row was left."""
        return next((handle.shards[name] for name in self.how.makes if name in handle.shards), None)


def stage_task(stage: Stage, how: Chunking) -> Callable[[Callable[[Context, ChunkJob], Handle]], StageTask]:
    """Make a stage's work on one chunk a Prefect task that is named like the stage."""

    def decorate(work: Callable[[Context, ChunkJob], Handle]) -> StageTask:
        def do_chunk(job: ChunkJob) -> Any:
            try:
                return work(current(), job).model_dump()
            except (StoppedError, GateFailedError) as error:
                if (transaction := get_transaction()) is None:
                    raise
                transaction.write_on_commit = False  # what was stopped is not cached
                return Cancelled(message=str(error))

        do_chunk.__name__, do_chunk.__doc__, do_chunk.__module__ = work.__name__, work.__doc__, work.__module__
        do_chunk.__qualname__ = work.__qualname__
        task = StageTask(
            do_chunk,
            name=stage.name,
            tags=["kasasagi", stage.name],
            cache_policy=ContentPolicy(),
            persist_result=True,
            result_serializer="json",
            retries=2,
            retry_delay_seconds=1,
            retry_condition_fn=survivable,
            task_run_name="{job.stage}-{job.chunk}",
        )
        task.stage, task.how = stage, how
        return task

    return decorate
