"""The floor of a Magpie source's yield: a run stops where too few of its draws become prompts."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Literal

from kasasagi.blocks.hints import command
from kasasagi.blocks.workspace.shards import Handle
from kasasagi.tasks.context import Context
from kasasagi.tasks.filter.stage import FILTER, ORIGINALS
from kasasagi.tasks.gate.outcome import GateFailedError, keep_outcomes
from kasasagi.tasks.synthesize.config import MagpieSource
from kasasagi.tasks.synthesize.counting import draws_wanted
from kasasagi.tasks.synthesize.stage import SYNTHESIZE
from kasasagi.tasks.synthesize.task import missed_floor, reasons_in, yield_of
from kasasagi.tasks.synthesize.yields import RunningYield, Yield, below_floor, clearly_below_floor
from kasasagi.tasks.tags.stage import TAGS

QUOTA = "quota"


class YieldFloor:
    """Judges how many draws of a run are accepted: early by its first chunks, and by all of them at the end of a wave.

    Args:
        context: The run.
        log: Gets what a person must know.
        note: Gets the yield of each chunk.
    """

    def __init__(self, context: Context, log: Callable[[str], None], note: Callable[[str], None]) -> None:
        self._context, self._log, self._note = context, log, note
        self._source = context.magpie
        self._draws, self._tags = RunningYield(self._judge_early), RunningYield(self._judge_early)
        self._drawn = 0
        self._missed = False

    def begin_wave(self, drawn: int) -> None:
        """Begin a new count of labelled prompts, which are made of so many draws."""
        self._drawn, self._tags = drawn, RunningYield(self._judge_early)

    async def watch(self, handle: Handle) -> None:
        """Count a chunk of draws, or of tags, whose conditions may reject most of what the filter left.

        Raises:
            GateFailedError: If the first chunks together are clearly below the floor.
        """
        if handle.stage == SYNTHESIZE.name:
            chunk = await asyncio.to_thread(yield_of, self._context, handle)
            self._note(f"synthesize chunk {handle.chunk}: {chunk.sentence()}")
            self._draws.add(handle.chunk, chunk)
        elif handle.stage == TAGS.name:
            draws = round(handle.account.rows_in * self._drawn / max(1, self._count_filtered()))
            rejected = reasons_in(self._context, handle)
            self._tags.add(handle.chunk, Yield(draws, handle.account.rows_out, rejected))

    def check(self, source: MagpieSource, drawn: int, accepted: int) -> bool:
        """Say the yield of all draws, duplicates included; what is beyond a quota was good enough and counts as such.

        Args:
            source: The source, with how many instructions are wanted.
            drawn: How many draws there are.
            accepted: How many of them were accepted.

        Returns:
            Whether more draws may follow.

        Raises:
            GateFailedError: If it is below the floor.
        """
        handles = [one.handle for one in self._context.session.run.handles()]
        rejected = sum((reasons_in(self._context, handle) for handle in handles), Counter[str]())
        total = Yield(drawn, accepted + rejected.pop("surplus", 0), rejected)
        self._log(f"synthesize: {total.sentence()}")
        fair = {reason: count for reason, count in rejected.items() if reason != QUOTA}
        good = Yield(drawn, total.accepted + rejected[QUOTA], fair).answered
        if below_floor(good, self._source.min_yield) and total.accepted < (source.target or drawn):
            self._stop(good, "whole")
        refused = self._context.session.dispatcher.refused_by is not None
        ends = refused or draws_wanted(source, drawn, accepted) == drawn
        if ends and source.target is not None and accepted < source.target:
            self._log(f"only {accepted:,} of {source.target:,} instructions were accepted in {drawn:,} draws")
        return not refused

    def _judge_early(self, first: Yield) -> None:
        if clearly_below_floor(first.answered, self._source.min_yield):
            self._stop(first.answered, "scout")

    def _count_filtered(self) -> int:
        """Return how many prompts the filter left of all draws so far."""
        handles = [one.handle for one in self._context.session.run.handles()]
        return next(h.account.rows_out for h in handles if (h.stage, h.chunk) == (FILTER.name, ORIGINALS))

    def _stop(self, total: Yield, scope: Literal["scout", "whole"]) -> None:
        """Keep that the floor is missed, and stop the run unless the recipe only wants to be warned."""
        if self._missed:
            return
        self._missed = True
        outcome, run = missed_floor(total, self._source.min_yield, scope), self._context.session.run
        keep_outcomes(run, outcome.stage, scope, [outcome])
        see = f"see the rejected draws with {command('quarantine', run.id, workspace=run.workspace.folder)}"
        if self._context.recipe.gates.on_fail == "stop":
            raise GateFailedError([outcome], see)
        self._log(f"gate {outcome.severity}: {outcome.sentence()}; {see}")
