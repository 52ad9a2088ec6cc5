"""The gates of a run: each judges a stage in a task of its own, and a person may let pass what it would stop."""

import asyncio
from collections.abc import Sequence
from typing import Any, Literal

from prefect.futures import PrefectFuture

from kasasagi.flows.run.concurrency import result_of
from kasasagi.flows.run.options import Options
from kasasagi.tasks.context import Context
from kasasagi.tasks.gate.outcome import Outcome
from kasasagi.tasks.gate.task import gate
from kasasagi.tasks.stage import Stage

Scope = Literal["scout", "whole"]


class Gates:
    """The gates of one run."""

    def __init__(self, context: Context, options: Options) -> None:
        self._context = context
        self._options = options
        self._deciding = asyncio.Lock()
        self._gates: dict[tuple[str, Scope], PrefectFuture[Any]] = {}

    @property
    def whole_stages(self) -> tuple[PrefectFuture[Any], ...]:
        """The task runs of the gates on whole stages so far."""
        return tuple(future for (_, scope), future in self._gates.items() if scope == "whole")

    def scouts(self, stage: Stage) -> list[PrefectFuture[Any]]:
        """Return the task run of the gate on a stage's scout, if there is one."""
        return [future for key, future in self._gates.items() if key == (stage.name, "scout")]

    async def gate(self, stage: Stage, scope: Scope, after: Sequence[PrefectFuture[Any]] = ()) -> list[Outcome]:
        """Judge a stage and keep the outcomes; raises GateFailedError where the recipe says that it stops the run."""
        recipe = self._context.recipe
        if not any(one.stage == stage.name and one.scope in (scope, "both") for one in recipe.expectations):
            return []
        asks = recipe.gates.on_fail == "pause" and self._options.person is not None
        outcomes = await self._run_gate(stage, scope, after, stops=not asks)
        if asks and (stopping := [one for one in outcomes if one.stops]):
            approved = await self._request_approval(stopping)
            outcomes = await self._run_gate(stage, scope, after, refused="" if approved else "nobody approved it")
        return outcomes

    async def _run_gate(
        self, stage: Stage, scope: Scope, after: Sequence[PrefectFuture[Any]], **how: bool | str
    ) -> list[Outcome]:
        future = gate.submit(stage.name, scope, return_state=False, wait_for=list(after), **how)
        self._gates[stage.name, scope] = future
        return [Outcome.model_validate(row) for row in await result_of(future)]

    async def _request_approval(self, stopping: Sequence[Outcome]) -> bool:
        """Return whether a person lets pass what a gate would stop; nothing is sent meanwhile."""
        run, dispatcher = self._context.session.run, self._context.session.dispatcher
        async with self._deciding:
            dispatcher.hold()
            assert self._options.person is not None
            approved = await self._options.person(run, stopping, self._context.recipe.gates.wait_hours)
            if approved:
                dispatcher.release()
            return approved
