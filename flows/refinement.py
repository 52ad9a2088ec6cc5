"""The way of the prompts from the filter to the responders: tags, vectors and quotas, then rewrites of what is left."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from typing import Any

from blocks.shards import Handle, Shard
from flows.chunks import prompt_chunks
from flows.conductor import Conductor, all_or_none
from flows.jobs import Stages
from flows.late import CHUNKS_OF_ORIGINALS, ORIGINALS, REWRITES, Late
from flows.options import Options
from flows.plan import StagePlan, plan_questions
from tasks.asking import ChunkJob
from tasks.rewrite import stage as rewrite
from tasks.semantic import stage as semantic
from tasks.tags import stage as tags

Do = Callable[[ChunkJob], Awaitable[Handle]]
Counted = Callable[[Handle], None]
JobOf = Callable[[int, Shard], ChunkJob]
Chunked = Callable[[int, Shard], Coroutine[Any, Any, None]]
Scouted = Callable[[str, Collection[str], Sequence[Shard], Chunked], Awaitable[None]]


class Refinement:
    """Takes filtered prompts through the optional stages of a run; does nothing where the recipe has none.

    do has a job done; planned is told, before each stage that pays, what it will ask, and may end it all by raising;
    expects is told how many chunks a stage has; scouted takes the chunks of a stage through it, the first as the scout;
    counted is told what became of each chunk of a stage that pays, and may end it all too.
    """

    def __init__(
        self,
        stages: Stages,
        do: Do,
        planned: Callable[[StagePlan], None],
        expects: Callable[[str, int], None] = lambda stage, chunks: None,
        scouted: Scouted | None = None,
        counted: Counted | None = None,
    ) -> None:
        self._stages = stages
        self._late = Late(stages)
        self._do = do
        self._planned = planned
        self._expects = expects
        self._scouted = scouted
        self._counted = counted

    async def selected(self, filtered: Handle) -> tuple[Shard, int]:
        """The prompts that go on of those that the filter left, and how many they are."""
        if not self._stages.recipe.is_refined:
            return filtered.shards["prompts"], filtered.account.rows_out
        handle = await self._select(filtered.shards["filtered"], ORIGINALS)
        return handle.shards["prompts"], handle.account.rows_out

    async def with_rewrites(self, selected: Shard) -> Shard:
        """The selected prompts, and what is made of them where the recipe has them rewritten."""
        config = self._stages.recipe.rewrite
        if config is None:
            return selected
        written = await self._paid(rewrite.STAGE, self._late.rewrite_job, "rewritten", selected, 0)
        if not sum(shard.rows for shard in written):
            return selected
        together = await asyncio.to_thread(self._late.together, selected, written)
        self._expects("filter", 2)
        filtered = await self._do(self._late.rewrites_filter_job(together))
        handle = await self._select(filtered.shards["filtered"], REWRITES)
        return await asyncio.to_thread(self._late.joined, selected, handle.shards["prompts"])

    async def _select(self, prompts: Shard, part: int) -> Handle:
        recipe, late = self._stages.recipe, self._late
        inputs, left = {"prompts": prompts}, prompts
        offset = CHUNKS_OF_ORIGINALS * part
        if recipe.tags is not None:
            tagged = await self._paid(tags.STAGE, late.tags_job, "tags", left, offset)
            inputs |= {f"tags {number:06}": shard for number, shard in enumerate(tagged)}
            left = await asyncio.to_thread(late.still_there, left, tagged)
        if recipe.semantic is not None and part == ORIGINALS:
            vectors = await self._paid(semantic.STAGE, late.semantic_job, "vectors", left, offset)
            inputs |= {f"vectors {number:06}": shard for number, shard in enumerate(vectors)}
        self._expects("select", part + 1)
        return await self._do(late.select_job(part, inputs, self._stages.target))

    async def _paid(self, stage: str, job_of: JobOf, table: str, prompts: Shard, offset: int) -> Sequence[Shard]:
        """What a stage that pays makes of some prompts, chunk by chunk."""
        chunks = await asyncio.to_thread(prompt_chunks, self._stages.session, prompts, self._leaves_out(stage))
        self._planned(await asyncio.to_thread(plan_questions, self._stages, stage, chunks))
        self._expects(stage, len(chunks))
        found: dict[int, Shard] = {}

        async def one(number: int, chunk: Shard) -> None:
            handle = await self._do(job_of(number + offset, chunk))
            found[number] = handle.shards[table]
            if self._counted is not None:
                self._counted(handle)

        if self._scouted is None or offset:  # what is said of rewrites does not tell how the originals fare
            await all_or_none(one(number, chunk) for number, chunk in enumerate(chunks))
        else:
            await self._scouted(stage, {self._late.asks(stage)}, chunks, one)
        return [found[number] for number in sorted(found)]

    def _leaves_out(self, stage: str) -> bool:
        """Whether chunks may lack what tells where a prompt is from; conditions on tags may ask for it."""
        return stage != tags.STAGE or not self._stages.where[1]


def refinement_of(stages: Stages, conductor: Conductor, options: Options, counted: Counted | None = None) -> Refinement:
    """The optional stages of a run whose jobs a conductor has done, and whose plans the caller is told."""

    async def do(job: ChunkJob) -> Handle:
        options.progress.now = job.stage
        return (await conductor.do(job)).handle

    def planned(plan: StagePlan) -> None:
        options.said(plan.sentence())

    return Refinement(stages, do, planned, options.progress.expect, conductor.scouted, counted)
