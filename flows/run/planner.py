"""A plan: the stages' own functions, answered by the ledger alone, and the calls that it has no answer for."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

from kasasagi.blocks.dispatch.pending_requests import Question
from kasasagi.blocks.models.llm import Completion
from kasasagi.blocks.workspace.planned_run import PlannedRun
from kasasagi.blocks.workspace.shards import Handle
from kasasagi.flows.run.driver import Chunk, Driver, Rows, draw_chunks
from kasasagi.tasks.asking import NOT_ASKED, Answered, Then, known_answers, read_rows
from kasasagi.tasks.context import Context, activate
from kasasagi.tasks.filter.stage import REWRITES
from kasasagi.tasks.format_dpo.target import PairsMade
from kasasagi.tasks.plans.counting import Count, StagePlan
from kasasagi.tasks.plans.unanswered import without_unanswered
from kasasagi.tasks.rewrite.task import rewrite
from kasasagi.tasks.stage_task import StageTask, earlier_handle
from kasasagi.tasks.synthesize.counting import estimate_draws


class Planner(Driver):
    """Takes rows through as long as the ledger has answers, and counts the calls that it has not."""

    def __init__(self, context: Context) -> None:
        session = context.session
        asked = replace(session, run=PlannedRun(session.run), asks=self._asks)
        super().__init__(replace(context, session=asked))
        self._counts: dict[str, Count] = {}

    def plans(self) -> list[StagePlan]:
        """Return the plan of each stage that asks models, in their order."""
        asking = [task.name for task in self.tasks if task.stage.wanted(self.recipe) and task.stage.models(self.recipe)]
        plans = [self._counts[name].plan() for name in asking if name in self._counts]
        return [plan.model_copy(update={"at_most": True}) for plan in plans] if vars(self).get("_planned") else plans

    async def run_chunks(self, stages: StageTask | Sequence[StageTask], rows: Rows) -> Rows:
        """Count what stages ask about rows; where an answer is missing, it is unknown which of them remain."""
        taking = self.taking(stages, rows)
        for task in taking:
            self.count_of(task)  # one without rows has a plan of no calls
        if not taking or not rows.count:
            return rows
        done = await self.count(taking, await self.split(taking, rows))
        for task in taking:
            self.guess(task, rows.unknown if rows.shard else rows.count)
        if rows.shard is None or any(self.count_of(task).to_pay for task in taking):
            return replace(rows, shard=None, unknown=taking[-1].how.yields(self.context, rows.count), made={})
        if rows.wave is not None:  # its pairs tell whether another wave follows
            done = [await self.do(taking[-1], chunk) for chunk in done]
        return await self.gather(taking[-1], rows, done)

    async def count(self, stages: Sequence[StageTask], chunks: Sequence[Chunk]) -> list[Chunk]:
        """Count what stages ask about chunks; a prompt with an unanswered question is unknown to the next stage."""
        return [await self._count_chunk(stages, chunk) for chunk in chunks]

    async def _count_chunk(self, stages: Sequence[StageTask], chunk: Chunk) -> Chunk:
        for task in stages:
            if task.stage.pays:
                if chunk.handle is not None:
                    left, lacking = await asyncio.to_thread(
                        without_unanswered, self.context, chunk.handle, chunk.inputs
                    )
                    chunk = replace(chunk, inputs=left, unknown=chunk.unknown + lacking)
                self.guess(task, chunk.unknown)
                chunk = await self.do(task, chunk)
        return chunk

    async def draw(self, synthesize: StageTask, chunks: Sequence[Chunk], accepted: int) -> Rows:
        """Draw what the ledger holds; the draws after that are estimated from the target."""
        done = await self.count([synthesize], chunks)
        if not self.count_of(synthesize).to_pay:
            self.draws += done
            return await self.drawn(synthesize)
        self.context = self.context.asking_for(self._planned, 0) or self.context
        source = self.context.magpie
        estimate = estimate_draws(source, chunks[0].params["start"], accepted)
        await self.count([synthesize], draw_chunks(chunks[-1].params["stop"], estimate, len(self.draws) + len(chunks)))
        return Rows(unknown=source.target or source.samples or 0)

    def wave_end(self, taken: int) -> int:
        """Return where the next wave ends; once a question has no answer, there is one more, which is estimated."""
        if any(count.to_pay for count in self._counts.values()):
            return max(taken, self._planned)
        return super().wave_end(taken)

    @cached_property
    def _planned(self) -> int:
        """How many prompts a target of pairs needs at most, by the yield where the first answer is missing."""
        return PairsMade.of(self.context.session.run).prompts_planned(self.recipe.pairs.target)

    def end_if_nothing_is_new(self, prompts: Rows) -> None:
        """A plan continues."""

    async def gates(self, *tasks: StageTask) -> None:
        """A plan has no rows to judge."""

    def expect(self, task: StageTask, chunks: int) -> None:
        """A plan shows no progress."""

    def guess(self, task: StageTask, prompts: int) -> None:
        """Count what a stage asks at most about prompts that do not exist yet."""
        self.count_of(task).guess(task.how.at_most(self.context, prompts))

    def guess_behind(self, task: StageTask, prompts: int, part: int) -> None:
        """Count what the stages behind one ask at most about prompts that it leaves."""
        name = rewrite.name if part == REWRITES else task.name
        first = [one.name for one in self.tasks].index(name) + 1
        for later in self.tasks[first:]:
            if later.stage.pays and later.stage.wanted(self.recipe):
                self.guess(later, prompts)
                prompts += later.how.yields(self.context, prompts) if later is rewrite else 0

    async def do(self, task: StageTask, chunk: Chunk) -> Chunk:
        """Do one chunk of a stage by the ledger alone, unless an earlier run has left its result."""
        handle = await asyncio.to_thread(self._handle, task, chunk)
        self.context.session.run.add(handle, reused=False)
        return chunk.done(handle)

    def _handle(self, task: StageTask, chunk: Chunk) -> Handle:
        count, session, job = self.count_of(task), self.context.session, self.job(task, chunk)
        if (earlier := earlier_handle(session, job)) is not None:
            count.add_earlier(read_rows(session.run, earlier.shards.get("calls"), ["model", "completion_tokens"]))
            return earlier
        with activate(self.context):
            return Handle.model_validate(task.fn(job))

    def count_of(self, task: StageTask) -> Count:
        """Return the count of a stage."""
        if task.name not in self._counts:
            self._counts[task.name] = Count(task.name, self.context.session.models, task.stage.repairs(self.recipe))
        return self._counts[task.name]

    def _asks(self, questions: Sequence[Question], stage: str, then: Then | None) -> list[Answered]:
        """Answer from the ledger, and count; what may follow an unanswered question is counted at most."""
        known = known_answers(self.context.session, questions)
        count = self._counts[stage]
        count.add(questions, known)
        unknown = Completion(error=NOT_ASKED)
        for place, question in enumerate(questions):
            if then is not None and question.key not in known:
                count.guess(then(place))
        return [Answered(question, known.get(question.key, unknown), True) for question in questions]
