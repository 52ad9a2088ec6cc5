"""Inventing instructions: draws in waves until enough are accepted, and a stop where too few of them are."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable

from prefect import get_run_logger
from prefect.exceptions import MissingContextError

from blocks.shards import Handle, Shard
from blocks.workspace import RunHandle
from flows.conductor import Conductor, all_or_none
from flows.conversing import guess_onward
from flows.jobs import Stages, reasons
from flows.late import CHUNKS_OF_ORIGINALS, ORIGINALS
from flows.options import Options
from flows.plan import plan_synthesize
from flows.refinement import refinement_of
from flows.spending import tell_plans
from tasks import synthesize
from tasks.gate.outcome import Outcome, keep_outcomes, raise_if_failed
from tasks.prefect_tasks import WORK
from tasks.select import job as select
from tasks.semantic import stage as semantic
from tasks.synthesize import MagpieSource, RunningYield, Yield, draws_wanted, limited, misses, plainly_misses, remedy
from tasks.tags import stage as tags

SIZE = synthesize.DRAWS_IN_A_CHUNK
QUOTA = "quota"
_ONE, _SOME = range(ORIGINALS, ORIGINALS + 1), range(CHUNKS_OF_ORIGINALS)
CHUNKS = {synthesize.STAGE: _SOME, "filter": _ONE, tags.STAGE: _SOME, semantic.STAGE: _SOME, select.STAGE: _ONE}
"""The chunks of each stage on the way of the draws; later ones are those of rewrites."""


class Inventor:
    """Draws the instructions of one run; lives in the flow's event loop."""

    def __init__(self, stages: Stages, conductor: Conductor, options: Options, source: MagpieSource) -> None:
        self._stages, self._conductor, self._options = stages, conductor, options
        self._source = limited(source, options.limit)
        self._shards: dict[int, Shard] = {}
        self._yields = RunningYield(self._judge_early)
        self._missed = False

    async def prompts(self) -> Shard:
        """The accepted prompts: draws are made until there are enough, or until it is plain that there never will be.

        Draws are accepted in the order of their numbers and the earlier wins, so that more draws only add. Raises
        GateFailedError where the yield falls under the source's floor.
        """
        source, options = self._source, self._options
        drawn = accepted = 0
        prompts: Shard | None = None
        while (draws := draws_wanted(source, drawn, accepted)) > drawn or prompts is None:
            plan = await asyncio.to_thread(plan_synthesize, self._stages, draws)
            tell_plans(self._stages, [plan], options.said, guess_onward(self._stages, source.target or draws))
            options.progress.now = "inventing"
            await self._draw(drawn, draws)
            handle = await self._filter()
            refinement = refinement_of(self._stages, self._conductor, options, self._tagged(handle, draws))
            prompts, accepted = await refinement.selected(handle.handle)
            drawn = draws
            await self._weigh(drawn, accepted)
        if source.target is not None and accepted < source.target:
            options.said(f"only {accepted:,} of {source.target:,} instructions were accepted in {drawn:,} draws")
        return prompts

    async def _draw(self, drawn: int, draws: int) -> None:
        """Draw what is wanted beyond what was drawn, chunk by chunk."""
        stages, conductor = self._stages, self._conductor
        WORK[stages.session.run.id][synthesize.STAGE] = stages.synthesize_work(draws)
        conductor.progress.expect(synthesize.STAGE, -(-draws // SIZE))

        async def one(number: int) -> None:
            done = await conductor.do(stages.synthesize_job(number, draws))
            if "draws" in done.handle.shards:
                self._shards[number] = done.handle.shards["draws"]
            self._count(number, await asyncio.to_thread(stages.yield_of, done.handle))

        await all_or_none(one(number) for number in range(drawn // SIZE, -(-draws // SIZE)))

    async def _filter(self) -> RunHandle:
        """Filter all draws so far."""
        stages = self._stages
        shards = [self._shards[number] for number in sorted(self._shards)]
        loaded = await asyncio.to_thread(synthesize.prompts_from_draws, stages.session, self._source, shards)
        return await self._conductor.do(stages.filter_job(loaded, self._source.target))

    def _count(self, number: int, chunk: Yield) -> None:
        """Note the yield of a chunk; stop the run where the first chunks together plainly miss the floor."""
        _log(f"synthesize chunk {number}: {chunk.sentence()}")
        self._yields.add(number, chunk)

    def _tagged(self, filtered: RunHandle, drawn: int) -> Callable[[Handle], None]:
        """What is told of each chunk of tags, whose conditions may set aside most of what the filter left."""
        store = self._stages.session.run.workspace.shards
        draws_each = drawn / max(1, filtered.account.rows_out)
        yields = RunningYield(self._judge_early)

        def count(handle: Handle) -> None:
            if handle.stage == tags.STAGE:
                aside = handle.shards.get("quarantine")
                rejected = Counter(reasons(store.path(aside)) if aside is not None else ())
                draws = round(handle.account.rows_in * draws_each)
                yields.add(handle.chunk, Yield(draws, handle.account.rows_out, rejected))

        return count

    def _judge_early(self, first: Yield) -> None:
        """Stop the run where the first chunks together plainly miss the floor."""
        if plainly_misses(first, self._source.min_yield):
            self._miss(first, "scout")

    async def _weigh(self, drawn: int, accepted: int) -> None:
        """Say the yield of all draws, duplicates included; stop the run where it misses the floor.

        What is beyond a quota was good enough, and does not count against the floor.
        """
        total = await asyncio.to_thread(self._total, drawn, accepted)
        self._options.said(f"synthesize: {total.sentence()}")
        rejected = {reason: count for reason, count in total.rejected.items() if reason != QUOTA}
        good = Yield(drawn, total.accepted + total.rejected.get(QUOTA, 0), rejected)
        if misses(good, self._source.min_yield) and total.accepted < (self._source.target or drawn):
            self._miss(good, "whole")

    def _total(self, drawn: int, accepted: int) -> Yield:
        """The yield of all draws, by what their stages set aside."""
        run = self._stages.session.run
        made = [one.handle for one in run.handles() if one.handle.chunk in CHUNKS.get(one.handle.stage, ())]
        shards = [handle.shards["quarantine"] for handle in made if "quarantine" in handle.shards]
        rejected = Counter(reason for shard in shards for reason in reasons(run.workspace.shards.path(shard)))
        return Yield(drawn, accepted + rejected.pop("surplus", 0), rejected)

    def _miss(self, total: Yield, scope: str) -> None:
        """Keep that the floor is missed, and stop the run unless the recipe only wants to be warned."""
        if self._missed:
            return
        self._missed = True
        outcome = Outcome(
            stage=synthesize.STAGE,
            scope="scout" if scope == "scout" else "whole",
            expectation="min_yield",
            severity="critical",
            success=False,
            observed=f"{total.accepted:,} accepted of {total.draws:,} draws ({total.share:.1%})",
            detail=remedy(total, self._source.min_yield),
        )
        keep_outcomes(self._stages.session.run, synthesize.STAGE, scope, [outcome])
        if self._stages.recipe.gates.on_fail == "stop":
            raise_if_failed([outcome])
        self._options.said(f"gate {outcome.severity}: {outcome.sentence()}")


def _log(line: str) -> None:
    """Write a line into the flow run's log."""
    try:
        get_run_logger().info(line)
    except MissingContextError:
        logging.getLogger(__name__).info(line)
