"""The task that sums up: one call for each prompt, a table, a column of the prompts and one of the responses."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from kasasagi.blocks.canonical import digest
from kasasagi.blocks.models.llm import Message
from kasasagi.blocks.workspace.shards import Handle
from kasasagi.tasks.asking import ChunkJob, ChunkResult, quarantine_row, read_rows
from kasasagi.tasks.context import Context
from kasasagi.tasks.gist.config import GistConfig
from kasasagi.tasks.gist.stage import GIST
from kasasagi.tasks.parsing import ParsedReply, UnreadableError, ask_and_keep, question, request_body
from kasasagi.tasks.stage import TEMPLATE_TOKENS_GUESSED, Example, Guess
from kasasagi.tasks.stage_task import Chunking, stage_task


def key_parts(context: Context, job: ChunkJob) -> list[Any]:
    """Return what decides the sums."""
    config: GistConfig = context.recipe.gist
    return [config.keyed(), context.model_digest(config.model)]


def at_most(context: Context, prompts: int) -> list[Guess]:
    """Return one call for each prompt."""
    config: GistConfig = context.recipe.gist
    return [Guess(config.model, prompts, prompts * TEMPLATE_TOKENS_GUESSED, config.sampling.max_tokens)]


@stage_task(GIST, Chunking(key_parts, makes=("responses", "prompts"), at_most=at_most))
def gist(context: Context, job: ChunkJob) -> Handle:
    """Have a model sum up one chunk of prompts."""
    config: GistConfig = context.recipe.gist
    session = context.session
    prompts = read_rows(session.run, job.inputs["prompts"])
    body = request_body(session, config.model, config.sampling)
    asked = [question(session, config.model, messages(one), body).about(one["prompt_id"]) for one in prompts]
    return ask_and_keep(session, job, asked, [read] * len(asked), 0, partial(sort, context, job, prompts))


def messages(prompt: Mapping[str, Any]) -> list[Message]:
    """Return what is asked about a prompt."""
    return [{"role": "user", "content": f"Sum up in a sentence: {prompt['instruction']}"}]


def read(reply: str) -> str:
    """Read a sum; one whose length is a multiple of 5 counts as unreadable."""
    if len(reply) % 5 == 0:
        raise UnreadableError("unreadable", f"{len(reply)} characters are a multiple of 5")
    return reply


def sort(
    context: Context, job: ChunkJob, prompts: Sequence[Mapping[str, Any]], parsed: Sequence[ParsedReply[str]]
) -> ChunkResult:
    """Return prompts and responses with their columns, and the prompts that were not summed up."""
    sums = {one["prompt_id"]: reply.value for one, reply in zip(prompts, parsed, strict=True) if reply.value}
    quarantine = [
        quarantine_row(
            GIST.name,
            digest([one["prompt_id"], GIST.name]),
            reply.problem.reason,
            reply.problem.detail,
            {"prompt_id": one["prompt_id"], "reply": reply.reply},
        )
        for one, reply in zip(prompts, parsed, strict=True)
        if reply.problem is not None
    ]
    tables = {
        name: _with_column(context.session.run.workspace.shards.read(job.inputs[name]), column, sums)
        for name, column in (("prompts", "gist"), ("responses", "gist_length"))
        if name in job.inputs
    }
    gists = [{"prompt_id": prompt, "gist": gist} for prompt, gist in sums.items()]
    return ChunkResult(len(prompts), len(sums), {"gists": gists, "quarantine": quarantine}, tables=tables)


def _with_column(rows: pa.Table, column: str, sums: Mapping[str, str]) -> pa.Table:
    """Return the rows whose prompt was summed up, with the sum or its length beside them."""
    ids = rows["prompt_id"].to_pylist()
    kept = [place for place, one in enumerate(ids) if one in sums]
    found = [sums[ids[place]] for place in kept]
    values = pa.array([len(one) for one in found], pa.int64()) if column == "gist_length" else pa.array(found)
    return rows.take(pa.array(kept, pa.int64())).append_column(column, values)


def example(recipe: Any, base: Path, row: Mapping[str, Any]) -> Iterator[Example]:
    """Yield what is asked about a row."""
    yield Example("{model} sums up", recipe.gist.model, messages(row)[0]["content"])
