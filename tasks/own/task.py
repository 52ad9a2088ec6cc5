"""The tasks of a recipe's own stages."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from kasasagi.blocks.canonical import digest, digest_file
from kasasagi.blocks.own.python import own_file
from kasasagi.blocks.tables import quoted
from kasasagi.blocks.workspace.shards import Handle, Shard
from kasasagi.tasks.asking import ChunkJob, ChunkResult, keep_chunk, quarantine_row, read_rows
from kasasagi.tasks.context import Context
from kasasagi.tasks.own.config import OwnStage
from kasasagi.tasks.own.loading import own_function
from kasasagi.tasks.own.rows import OwnRows
from kasasagi.tasks.own.writing import OwnFunction, RejectError
from kasasagi.tasks.recipe import Recipe
from kasasagi.tasks.stage import TEMPLATE_TOKENS_GUESSED, Guess, Stage
from kasasagi.tasks.stage_task import Chunking, StageTask, stage_task

TYPES = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
IDS = {"prompts": "prompt_id", "responses": "response_id"}


def own_tasks(recipe: Recipe, base: Path, after: str) -> list[StageTask]:
    """Return the tasks of the recipe's own stages at one place, in their order. Raises OwnPythonError."""
    return [_own_task(entry, base) for entry in recipe.stages if entry.after == after]


def _own_task(entry: OwnStage, base: Path) -> StageTask:
    function, settings = own_function(entry, base)
    table = "prompts" if entry.after == "prompts" else "responses"
    stage = Stage(
        entry.name,
        function.version,
        wanted=lambda recipe: True,
        task=entry.use,
        named_models=lambda recipe: [("stages", name) for name in entry.models],
        repairs=lambda recipe: 1,
    )

    def key_parts(context: Context, job: ChunkJob) -> list[Any]:
        """Return what decides the rows: the settings, the models and the text of the file."""
        models = [context.model_digest(name) for name in entry.models]
        return [entry.settings, models, digest_file(own_file(entry.use, base))]

    def at_most(context: Context, prompts: int) -> list[Guess]:
        """Return one call for each row."""
        rows = prompts if table == "prompts" else prompts * context.recipe.respond.answers
        return [Guess(name, rows, rows * TEMPLATE_TOKENS_GUESSED, None) for name in entry.models[:1]]

    def work(context: Context, job: ChunkJob) -> Handle:
        started = time.monotonic()
        rows, there = OwnRows(context.session, job), _rows(context, job, table)
        rows.run(function, settings, there, [row[IDS[table]] for row in there])
        result = _sort_outcomes(context, job, function, rows, table)
        return keep_chunk(context.session.run, context.session.models, job, result, started)

    work.__name__ = work.__qualname__ = entry.name
    work.__doc__ = function.work.__doc__ or f"Do one chunk of {entry.use}."
    how = Chunking(key_parts, (table,), at_most=at_most, gather=_in_order)
    return stage_task(stage, how)(work)


def _rows(context: Context, job: ChunkJob, table: str) -> list[dict[str, Any]]:
    """Return the rows of a chunk; responses have the messages and the instruction of their prompts beside them."""
    prompts = read_rows(context.session.run, job.inputs["prompts"])
    if table == "prompts":
        return prompts
    by_id = {prompt["prompt_id"]: prompt for prompt in prompts}
    responses = read_rows(context.session.run, job.inputs.get("responses"))
    names = ("messages", "instruction")
    return [{**row, **{name: by_id[row["prompt_id"]][name] for name in names}} for row in responses]


def _sort_outcomes(context: Context, job: ChunkJob, function: OwnFunction, rows: OwnRows, table: str) -> ChunkResult:
    """Return the rows that continue, with their new columns, and the others with the reason why not."""
    shard = job.inputs.get(table)
    if shard is None:
        return ChunkResult(0, 0, {"quarantine": []})
    before: pa.Table = context.session.run.workspace.shards.read(shard)
    quarantine, kept, values = [], [], []
    for place, row in enumerate(before.to_pylist()):
        outcome = rows.outcomes[place]
        if isinstance(outcome, RejectError):
            reply = {"reply": rows.replies[place]} if place in rows.replies else {}
            payload = {"prompt_id": row["prompt_id"], IDS[table]: row[IDS[table]], **reply}
            name = digest([row[IDS[table]], job.stage])
            quarantine.append(quarantine_row(job.stage, name, outcome.reason, outcome.detail, payload))
        else:
            kept.append(place)
            values.append(outcome)
    after = before.take(pa.array(kept, pa.int64()))
    for column, kind in function.columns.items():
        after = after.append_column(column, pa.array([one.get(column) for one in values], TYPES[kind]))
    made = {table: after}
    return ChunkResult(before.num_rows, len(kept), {"quarantine": quarantine}, rows.answered, tables=made)


def _in_order(context: Context, prompts: Shard, made: Sequence[Shard]) -> Shard:
    """Return the rows of all chunks as one table, in the order of their positions."""
    files = ", ".join(quoted(context.path(shard)) for shard in made or [prompts])
    return context.written(f"SELECT * FROM read_parquet([{files}], union_by_name = true) ORDER BY position, prompt_id")
