"""Waves of draws: until enough instructions are accepted, and a stop where too few of them are."""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable

from prefect import get_run_logger
from prefect.exceptions import MissingContextError

from kasasagi.blocks.hints import command
from kasasagi.blocks.workspace.shards import Handle, Shard
from kasasagi.flows.run.chunk_executor import ChunkExecutor
from kasasagi.flows.run.concurrency import gather_bounded
from kasasagi.flows.run.driver import Rows
from kasasagi.flows.run.gating import Scope
from kasasagi.flows.run.plan.planner import Planner
from kasasagi.tasks.filter.stage import FILTER, ORIGINALS
from kasasagi.tasks.gate.outcome import GateFailedError, keep_outcomes
from kasasagi.tasks.stage_task import StageTask
from kasasagi.tasks.synthesize import (
    RunningYield,
    Yield,
    below_floor,
    chunks_of_draws,
    clearly_below_floor,
    draws_wanted,
    prompts_from_draws,
)
from kasasagi.tasks.synthesize.task import missed_floor, reasons_in, yield_of
from kasasagi.tasks.tags.stage import TAGS

QUOTA = "quota"


class Waves:
    """Draws the instructions of one run; lives in the flow's event loop."""

    def __init__(self, run: ChunkExecutor, synthesize: StageTask) -> None:
        self._run, self._task = run, synthesize
        self._context, self._source = run.context, run.context.magpie
        self._shards: dict[int, Shard] = {}
        self._yields = RunningYield(self._judge_early)
        self._missed = False
        self._chunks = 0

    async def prompts(self, choose: Callable[[Rows], Awaitable[Rows]]) -> Rows:
        """Return the accepted prompts: draws are made until there are enough, or there plainly never will be, or
        the budget is spent.

        Draws are accepted in the order of their numbers and the earlier wins, so that more draws only add.

        Raises:
            GateFailedError: If the yield falls under the source's floor.
        """
        source, run = self._source, self._run
        drawn = accepted = 0
        prompts: Rows | None = None
        while (draws := draws_wanted(source, drawn, accepted)) > drawn or prompts is None:
            await asyncio.to_thread(self._log_plan, draws)
            await self._draw(drawn, draws)
            shards = [self._shards[number] for number in sorted(self._shards)]
            loaded = await asyncio.to_thread(prompts_from_draws, run.session, source, shards)
            run.watch = self._of_tags(draws)
            prompts = await choose(Rows(loaded))
            run.watch = lambda handle: None
            accepted, drawn = prompts.count, draws
            await self._check_yield(drawn, accepted)
            if self._is_refused():
                break
        if source.target is not None and accepted < source.target:
            run.options.log(f"only {accepted:,} of {source.target:,} instructions were accepted in {drawn:,} draws")
        return prompts

    def _log_plan(self, draws: int) -> None:
        """Say what all draws so far and the next ones take, and keep the later stages their share of the budget."""
        planner, later = Planner(self._context), Planner(self._context)
        planner.draw(self._task, 0, draws)
        later.guess_behind(self._task, self._source.target or draws, ORIGINALS)
        self._run.log_plans(planner.plans(), later.plans())

    async def _draw(self, drawn: int, draws: int) -> None:
        """Draw what is wanted beyond what was drawn, chunk by chunk; the first chunk of all is the scout."""
        run, context, task = self._run, self._context, self._task
        chunks = dict(enumerate(chunks_of_draws(drawn, draws), self._chunks))
        self._chunks += len(chunks)
        run.progress.now = task.name
        run.progress.expect(task.name, self._chunks)

        async def one(number: int, numbers: range) -> None:
            if self._is_refused():
                return
            job = await asyncio.to_thread(lambda: task.job(context, number, {}, start=numbers.start, stop=numbers.stop))
            handle = (await run.do(task, job)).handle
            if number == 0 and not self._is_refused():
                await run.judging.gate(task.stage, "scout", run.behind(task))
            if "draws" in handle.shards:
                self._shards[number] = handle.shards["draws"]
            chunk = await asyncio.to_thread(yield_of, context, handle)
            _log_line(f"synthesize chunk {number}: {chunk.sentence()}")
            self._yields.add(number, chunk)

        await gather_bounded(one(*chunk) for chunk in chunks.items())

    def _is_refused(self) -> bool:
        """Return whether the budget did not reach for a call, so that nothing more is drawn."""
        return self._context.session.dispatcher.refused_by is not None

    def _of_tags(self, drawn: int) -> Callable[[Handle], None]:
        """Note the yield of each chunk of tags, whose conditions may reject most of what the filter left."""
        yields = RunningYield(self._judge_early)

        def count(handle: Handle) -> None:
            if handle.stage == TAGS.name:
                draws = round(handle.account.rows_in * drawn / max(1, self._count_filtered()))
                yields.add(handle.chunk, Yield(draws, handle.account.rows_out, reasons_in(self._context, handle)))

        return count

    def _count_filtered(self) -> int:
        """Return how many prompts the filter left of all draws so far."""
        handles = [one.handle for one in self._run.session.run.handles()]
        return next(h.account.rows_out for h in handles if (h.stage, h.chunk) == (FILTER.name, ORIGINALS))

    def _judge_early(self, first: Yield) -> None:
        """Stop the run where the first chunks together are clearly below the floor."""
        if clearly_below_floor(first.answered, self._source.min_yield):
            self._stop_below_floor(first.answered, "scout")

    async def _check_yield(self, drawn: int, accepted: int) -> None:
        """Say the yield of all draws, duplicates included; stop the run where it is below the floor.

        What is beyond a quota was good enough, and does not count against the floor.
        """
        total = await asyncio.to_thread(self._total, drawn, accepted)
        self._run.options.log(f"synthesize: {total.sentence()}")
        rejected = {reason: count for reason, count in total.rejected.items() if reason != QUOTA}
        good = Yield(drawn, total.accepted + total.rejected.get(QUOTA, 0), rejected).answered
        if below_floor(good, self._source.min_yield) and total.accepted < (self._source.target or drawn):
            self._stop_below_floor(good, "whole")

    def _total(self, drawn: int, accepted: int) -> Yield:
        """Return the yield of all draws, by what their stages rejected."""
        handles = [one.handle for one in self._run.session.run.handles()]
        rejected = sum((reasons_in(self._context, handle) for handle in handles), Counter[str]())
        return Yield(drawn, accepted + rejected.pop("surplus", 0), rejected)

    def _stop_below_floor(self, total: Yield, scope: Scope) -> None:
        """Keep that the floor is missed, and stop the run unless the recipe only wants to be warned."""
        if self._missed:
            return
        self._missed = True
        outcome, run = missed_floor(total, self._source.min_yield, scope), self._run.session.run
        keep_outcomes(run, outcome.stage, scope, [outcome])
        see = f"see the rejected draws with {command('quarantine', run.id, workspace=run.workspace.folder)}"
        if self._run.recipe.gates.on_fail == "stop":
            raise GateFailedError([outcome], see)
        self._run.options.log(f"gate {outcome.severity}: {outcome.sentence()}; {see}")


def _log_line(line: str) -> None:
    """Write a line into the flow run's log."""
    try:
        get_run_logger().info(line)
    except MissingContextError:
        logging.getLogger(__name__).info(line)
