"""The conductor: hands chunks to Prefect, verifies what comes back, and lets stages overlap behind their gates."""

import asyncio
import math
from collections.abc import Callable, Collection, Coroutine, Iterable, Sequence
from typing import Any, Literal

from prefect.futures import PrefectFuture
from pydantic import ValidationError

from blocks.budget import BudgetSpentError
from blocks.models import OpenAIModel, VLLMModel
from blocks.run_tables import tables_of
from blocks.shards import Handle, Shard
from blocks.workspace import RunHandle
from flows.chunks import MOST_CHUNKS
from flows.jobs import Stages
from flows.options import Person
from flows.progress import Progress
from tasks.asking import ChunkJob, Session, outdated
from tasks.gate.approvals import let_pass, remedy
from tasks.gate.judge import judge_stage
from tasks.gate.outcome import GateFailedError, Outcome, keep_outcomes
from tasks.judge import stage as judge
from tasks.prefect_tasks import chunk_task, gate_task

CHUNKS_IN_WORK = 16
CHUNKS_AT_LEAST = 4
BUFFERED = 5
TURNS_SLOTS = 10_000
ANSWERING_STAGES = ("respond", "judge", "format_dpo")


class Conductor:
    """Conducts the stages of one run; lives in the flow's event loop."""

    def __init__(
        self, stages: Stages, progress: Progress, said: Callable[[str], None], person: Person | None = None
    ) -> None:
        self.stages = stages
        self.session: Session = stages.session
        self.progress = progress
        self.said = said
        self.person = person
        self._deciding = asyncio.Lock()
        self._passed = {stage: asyncio.Event() for stage in ANSWERING_STAGES}

    async def do(self, job: ChunkJob) -> RunHandle:
        """Have a chunk done, by an earlier run if its result is whole, else now."""
        result = await self._submit(job, refresh=False)
        if not await self._usable(job, result):
            result = await self._submit(job, refresh=True)
        handle = Handle.model_validate(result)
        self.progress.count(job.stage)
        return self.session.run.add(handle, reused=handle.run != job.run)

    async def _usable(self, job: ChunkJob, result: Any) -> bool:
        """Whether a result is this run's; or an earlier one's that still stands. Raises LedgerError."""
        try:
            handle = Handle.model_validate(result)
        except ValidationError:  # another version of kasasagi made it
            return False
        if handle.run == job.run:
            return True
        return handle.complete and await asyncio.to_thread(self._stands, handle)

    def _stands(self, handle: Handle) -> bool:
        """Whether a chunk's shards are as they were, and its calls as the ledger has them."""
        return self.session.run.workspace.shards.holds(handle.shards) and not outdated(self.session, handle)

    async def _submit(self, job: ChunkJob, refresh: bool) -> Any:
        task = chunk_task.with_options(
            name=job.stage, refresh_cache=refresh, result_storage=self.session.run.workspace.results_folder
        )
        return await finished(task.submit(job))

    async def lines(self, chunks: Sequence[Shard]) -> None:
        """Take every chunk through respond, judge and format_dpo, many at a time, the first as the scout of all.

        Where the budget does not reach for a chunk, no further one is begun, those on their way go on with what is
        kept for their later stages, and BudgetSpentError is raised.
        """
        for stage in ANSWERING_STAGES:
            if stage == judge.STAGE and self.stages.recipe.judging is None:
                continue
            self.progress.expect(stage, len(chunks))
        ahead, at_once = self._buffers(chunks)
        spent: list[BudgetSpentError] = []

        async def line(number: int, prompts: Shard) -> None:
            if spent:
                return
            if number == len(chunks) - 1:
                self.session.dispatcher.finish_first()
            try:
                await self._line(number, prompts, number < ahead)
            except BudgetSpentError as error:
                spent.append(error)
                if number == 0:  # all others wait for its gates
                    raise

        await all_or_none((line(number, shard) for number, shard in enumerate(chunks)), at_once)
        if spent:
            raise spent[0]

    def _buffers(self, chunks: Sequence[Shard]) -> tuple[int, int]:
        """How many chunks may go ahead of a gate's verdict, and how many may be in work at once."""
        config = self.stages.recipe.respond
        samples = sum(responder.samples or config.samples for responder in config.models)
        calls = max(1, samples * max((chunk.rows for chunk in chunks), default=1))
        return self._room([responder.use for responder in config.models], calls)

    def _room(self, labels: Collection[str], calls: int) -> tuple[int, int]:
        """The same for a stage that asks some models, so many calls a chunk.

        Both are what it takes to keep the endpoints busy meanwhile, and no more.
        """
        places = {place for label in labels for place in _places(self.session, label)}
        slots = sum(slots for _, slots in places)
        needed = math.ceil(BUFFERED * slots / calls)
        if self.session.dispatcher.has_budget:  # the first chunk, which opens the gates, is paid for first
            return 1, min(CHUNKS_IN_WORK, max(CHUNKS_AT_LEAST, needed + 2))
        if any(isinstance(model, OpenAIModel) and model.batch for model in self.session.models.values()):
            return max(2, needed), MOST_CHUNKS  # all that may be asked goes into one batch
        return max(2, needed), min(CHUNKS_IN_WORK, max(CHUNKS_AT_LEAST, needed + 2))

    async def scouted(
        self,
        stage: str,
        labels: Collection[str],
        chunks: Sequence[Shard],
        do: Callable[[int, Shard], Coroutine[Any, Any, None]],
    ) -> None:
        """Have `do` take every chunk through a stage that asks some models, the first as the scout of all.

        No more than it takes to keep their endpoints busy goes ahead of the gate's verdict on the scout. Raises
        GateFailedError.
        """
        passed = asyncio.Event()
        ahead, at_once = self._room(labels, max((chunk.rows for chunk in chunks), default=1))

        async def one(number: int, chunk: Shard) -> None:
            if number >= ahead:
                await passed.wait()
            await do(number, chunk)
            if number == 0:
                await self.gate(stage, "scout")
                passed.set()

        await all_or_none((one(number, chunk) for number, chunk in enumerate(chunks)), at_once)

    async def _line(self, number: int, prompts: Shard, ahead: bool) -> None:
        """One chunk through the stages that follow the prompts."""
        stages = self.stages
        await self._may_go("respond", ahead)
        responded = await self.do(stages.respond_job(number, prompts))
        await self._scout(number, "respond")
        await self._may_go("judge", ahead)
        inputs = {"prompts": prompts, **_picked(responded, "responses"), **_picked(responded, "claims")}
        if stages.recipe.judging is not None:
            judged = await self.do(stages.judge_job(number, inputs))
            inputs |= _picked(judged, "ratings")
        await self._scout(number, "judge")
        await self.do(stages.format_job(number, inputs))
        await self._scout(number, "format_dpo")

    async def _may_go(self, stage: str, ahead: bool) -> None:
        """Wait until the gates on the scout have let pass all stages from this one's predecessor on."""
        if not ahead:
            await self._passed[stage].wait()

    async def _scout(self, number: int, stage: str) -> None:
        if number == 0:
            await self.gate(stage, "scout")
            self._passed[stage].set()

    async def gate(self, stage: str, scope: Literal["scout", "whole"]) -> list[Outcome]:
        """Judge a stage and keep the outcomes; raises GateFailedError where the recipe says that it stops the run."""
        run = self.session.run
        if not any(one.stage == stage and one.scope in (scope, "both") for one in self.stages.recipe.expectations):
            return []
        outcomes = [Outcome.model_validate(row) for row in await finished(gate_task.submit(run.id, stage, scope))]
        if self.stages.recipe.gates.on_fail == "pause":
            outcomes = let_pass(run.workspace, run.state().name, outcomes)
        keep_outcomes(run, stage, scope, outcomes)
        for outcome in outcomes:
            if not outcome.success:
                self.said(f"gate {outcome.severity}: {outcome.sentence()}")
        if self.stages.recipe.gates.on_fail != "warn" and any(one.stops for one in outcomes):
            await self._ask_person(outcomes)
            outcomes = let_pass(run.workspace, run.state().name, outcomes)
            keep_outcomes(run, stage, scope, outcomes)
        return outcomes

    async def _ask_person(self, outcomes: Sequence[Outcome]) -> None:
        """Return if a person lets pass what a gate would stop; nothing is sent meanwhile. Raises GateFailedError."""
        gates, run = self.stages.recipe.gates, self.session.run
        stopping = [one for one in outcomes if one.stops]
        if gates.on_fail != "pause" or self.person is None:
            raise GateFailedError(stopping, remedy(run.id) if gates.on_fail == "pause" else None)
        async with self._deciding:
            self.session.dispatcher.hold()
            if not await self.person(run, stopping, gates.wait_hours):
                raise GateFailedError(stopping, f"nobody approved it; {remedy(run.id)}")
            self.session.dispatcher.release()

    def judged(self, stage: str, scope: Literal["scout", "whole"]) -> list[dict[str, Any]]:
        """The outcomes of a stage's expectations on its first chunk or on the whole, as plain data."""
        run = self.session.run
        handles = [h for h in run.handles() if scope == "whole" or h.handle.chunk == 0]
        with tables_of(run, handles) as connection:
            outcomes = judge_stage(connection, stage, scope, self.stages.recipe.expectations)
        return [outcome.model_dump() for outcome in outcomes]


def _places(session: Session, label: str) -> list[tuple[str, int]]:
    """Where a model is asked, and how many calls begin there at once; models at one address share its limit."""
    model = session.models[label]
    if isinstance(model, OpenAIModel) and not model.batch:
        return [(address, model.first_concurrency(address)) for address in model.addresses]
    if isinstance(model, OpenAIModel):
        return []
    return [(session.identities[label], TURNS_SLOTS if _takes_turns(session) else model.batch_size)]


def _takes_turns(session: Session) -> bool:
    """Whether several models of the run take turns on a device: then many chunks wait, so that turns are rare."""
    own = {session.identities[label] for label, model in session.models.items() if isinstance(model, VLLMModel)}
    return len(own) > 1


def _picked(counted: RunHandle, name: str) -> dict[str, Shard]:
    shard = counted.handle.shards.get(name)
    return {name: shard} if shard else {}


async def finished(future: PrefectFuture[Any]) -> Any:
    """The result of a submitted task, without blocking the flow's loop; raises what the task raised."""
    loop = asyncio.get_running_loop()
    done = asyncio.Event()

    def wake(_: PrefectFuture[Any]) -> None:
        loop.call_soon_threadsafe(done.set)

    future.add_done_callback(wake)
    await done.wait()
    return future.result()


async def all_or_none(work: Iterable[Coroutine[Any, Any, None]], at_once: int = CHUNKS_IN_WORK) -> None:
    """Run everything, so many at once, in its order; the first error cancels the rest and is raised."""
    places = asyncio.Semaphore(at_once)

    async def in_its_place(one: Coroutine[Any, Any, None]) -> None:
        async with places:
            await one

    waiting = list(work)
    tasks = [asyncio.create_task(in_its_place(one)) for one in waiting]
    try:
        await asyncio.gather(*tasks)
    finally:
        for one in tasks:
            one.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for one_more in waiting:
            one_more.close()  # what was never begun would be warned of
