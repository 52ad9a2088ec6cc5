"""Dialogues of several turns: every prompt that is left goes on until it has as many as its source says."""

import asyncio

import duckdb

from blocks.shards import Shard
from blocks.tables import quoted
from flows.chunks import prompt_chunks
from flows.conductor import Conductor
from flows.jobs import Stages
from flows.options import Options
from flows.plan import StagePlan
from tasks.asking import known_answers, read_rows
from tasks.converse import stage as converse
from tasks.converse.plan import Dialogues


async def conversed(stages: Stages, conductor: Conductor, options: Options, prompts: Shard) -> Shard:
    """The prompts as dialogues of several turns, where the source wants them; else as they are.

    Raises GateFailedError where too few of them go on to their last turn.
    """
    plan = stages.dialogues
    if plan is None:
        return prompts
    chunks = await asyncio.to_thread(prompt_chunks, stages.session, prompts, False)
    options.said((await asyncio.to_thread(plan_turns, stages, plan, chunks)).sentence())
    options.progress.now = "conversing"
    options.progress.expect(converse.STAGE, len(chunks))
    found: dict[int, Shard] = {}

    async def one(number: int, chunk: Shard) -> None:
        found[number] = (await conductor.do(stages.converse_job(plan, number, chunk))).handle.shards["prompts"]

    await conductor.scouted(converse.STAGE, {plan.model, plan.answerer}, chunks, one)
    await conductor.gate(converse.STAGE, "whole")
    return await asyncio.to_thread(_together, stages, [found[number] for number in sorted(found)], prompts)


def plan_turns(stages: Stages, plan: Dialogues, chunks: list[Shard]) -> StagePlan:
    """What further turns will ask, as far as the ledger has the answers that decide it."""
    calls = known = later = 0
    for chunk in chunks:
        asked, more = converse.foreseen(stages.session, plan, read_rows(stages.session.run, chunk))
        calls, later = calls + len(asked), later + more
        known += len(known_answers(stages.session, asked))
    return StagePlan(stage=converse.STAGE, calls=calls + later, known=known, at_most=later > 0)


def guess_turns(plan: Dialogues, prompts: int) -> StagePlan:
    """What the turns of some prompts that nobody knows yet will ask at most."""
    return StagePlan(stage=converse.STAGE, calls=2 * (plan.count - 1) * prompts, known=0, at_most=True)


def _together(stages: Stages, shards: list[Shard], prompts: Shard) -> Shard:
    """The dialogues of all chunks as one shard, in the order of their positions."""
    store = stages.session.run.workspace.shards
    files = ", ".join(quoted(store.path(shard)) for shard in shards or [prompts])
    with duckdb.connect(":memory:") as connection:
        connection.execute("SET memory_limit = '512MB'")
        connection.execute(f"SET temp_directory = {quoted(stages.session.run.folder / 'scratch')}")
        rows = connection.sql(f"SELECT * FROM read_parquet([{files}]) ORDER BY position, prompt_id")
        return store.write(rows.to_arrow_table())
