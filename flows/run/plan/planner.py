"""A plan: the stages' own functions, answered by the ledger alone, and the calls that it has no answer for."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import orjson

from kasasagi.blocks.dispatch.pending_requests import Question
from kasasagi.blocks.models.llm import Completion
from kasasagi.blocks.tables import quoted
from kasasagi.blocks.workspace.shards import Handle, Shard
from kasasagi.flows.run.chunks import prompt_chunks
from kasasagi.flows.run.driver import Driver, PromptChunk, Rows, inputs_of, number_of, outputs_of
from kasasagi.flows.run.earlier_results import earlier_handle
from kasasagi.flows.run.plan.counting import Count, StagePlan
from kasasagi.flows.run.plan.scratch import PlannedRun
from kasasagi.tasks.asking import NOT_ASKED, Answered, Then, known_answers, read_rows
from kasasagi.tasks.context import Context, activate
from kasasagi.tasks.filter.stage import ORIGINALS, REWRITES
from kasasagi.tasks.rewrite.task import rewrite
from kasasagi.tasks.stage_task import StageTask
from kasasagi.tasks.synthesize import chunks_of_draws, draws_wanted, estimate_draws, prompts_from_draws


class Planner(Driver):
    """Takes rows through as long as the ledger has answers, and counts the calls that it has not."""

    def __init__(self, context: Context) -> None:
        session = context.session
        asked = replace(session, run=PlannedRun(session.run), asks=self._asks)
        super().__init__(replace(context, session=asked))
        self._counts: dict[str, Count] = {}
        self.reached: list[StageTask] = []
        """The stages that were reached, in their order."""

    def plans(self) -> list[StagePlan]:
        """Return the plan of each stage that asks models, in their order."""
        asking = [task.name for task in self.tasks if task.stage.wanted(self.recipe) and task.stage.models(self.recipe)]
        return [self._counts[name].plan() for name in asking if name in self._counts]

    async def source(self, task: StageTask) -> Rows:
        """Load the source's rows."""
        handle = self.done(task, 0, {})
        self.context.session.run.add(handle, reused=False)
        return Rows(task.made(handle))

    async def whole(self, task: StageTask, rows: Rows, *beside: Rows) -> Rows:
        """Take all rows through a stage, if all are known."""
        if not task.stage.wanted(self.recipe):
            return rows
        if (unknown := next((other for other in (*reversed(beside), rows) if other.shard is None), None)) is not None:
            return Rows(unknown=unknown.unknown, part=rows.part)
        inputs = inputs_of(self.context, task, rows, *beside)
        return Rows(task.made(self.done(task, rows.part, inputs)), part=rows.part)

    async def run_chunks(self, task: StageTask, rows: Rows) -> Rows:
        """Take rows through a stage; where an answer is missing, it is unknown which of them remain."""
        if not self.takes(task, rows):
            return rows
        self.guess(task, rows.unknown)
        unknown = replace(rows, shard=None, unknown=task.how.yields(self.context, rows.count), made={})
        if rows.shard is None:
            return unknown
        chunks = prompt_chunks(self.context.session, rows.shard, not task.how.needs_origin(self.context))
        handles = self.count(task, rows, chunks)
        if self._counts[task.name].to_pay:
            return unknown
        return self.gather(task, rows, [task.made(handle) for handle in handles])

    def count(self, task: StageTask, rows: Rows, chunks: Sequence[Shard]) -> list[Handle]:
        """Count what a stage asks about some chunks of rows."""
        self.count_of(task)
        return [self.done(task, number_of(rows, n), {task.how.reads: chunk}) for n, chunk in enumerate(chunks)]

    async def until_target(self, synthesize: StageTask, choose: Callable[[Rows], Awaitable[Rows]]) -> Rows:
        """Draw what the ledger holds; the draws after that are estimated from the target."""
        source, wanted = self.context.magpie, self.context.magpie.target or self.context.magpie.samples or 0
        drawn = accepted = 0
        shards: list[Shard] = []
        prompts: Rows | None = None
        while (draws := draws_wanted(source, drawn, accepted)) > drawn or prompts is None:
            shards += self.draw(synthesize, drawn, draws)
            if self._counts[synthesize.name].to_pay:
                self.draw(synthesize, draws, estimate_draws(source, drawn, accepted))
                return await choose(Rows(unknown=wanted))
            prompts = await choose(Rows(prompts_from_draws(self.context.session, source, shards)))
            if prompts.shard is None:
                return Rows(unknown=wanted)
            accepted, drawn = prompts.count, draws
        return prompts

    def draw(self, synthesize: StageTask, drawn: int, draws: int) -> list[Shard]:
        """Count some further draws, and take those that the ledger has."""
        self.count_of(synthesize)
        parts = [{"start": part.start, "stop": part.stop} for part in chunks_of_draws(drawn, draws)]
        handles = [self.done(synthesize, number, {}, **part) for number, part in enumerate(parts)]
        return [shard for handle in handles if (shard := synthesize.made(handle)) is not None]

    async def overlap(self, one: Callable[[PromptChunk], Awaitable[None]], rows: Rows) -> None:
        """Count what the stages ask about each chunk, and at most about prompts that do not exist yet."""
        chunks = prompt_chunks(self.context.session, rows.shard) if rows.shard is not None else []
        await self.count_chunks(one, chunks)
        await one(PlannedChunk(self, rows.unknown))

    async def count_chunks(self, one: Callable[[PromptChunk], Awaitable[None]], chunks: Iterable[Shard]) -> None:
        """Count what the stages ask about some chunks of prompts."""
        for number, chunk in enumerate(chunks):
            await one(PlannedChunk(self, 0, number, {"prompts": chunk}))

    def end_if_nothing_is_new(self, prompts: Rows) -> None:
        """A plan continues."""

    async def gates(self, *tasks: StageTask) -> None:
        """A plan has no rows to judge."""

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

    def done(self, task: StageTask, number: int, inputs: Mapping[str, Shard], **params: int) -> Handle:
        """Do one chunk of a stage by the ledger alone, unless an earlier run has left its result."""
        count, session = self.count_of(task), self.context.session
        job = task.job(self.context, number, inputs, **params)
        if (earlier := earlier_handle(session, job)) is not None:
            count.add_earlier(read_rows(session.run, earlier.shards.get("calls"), ["model", "completion_tokens"]))
            return earlier
        with activate(self.context):
            return Handle.model_validate(task.fn(job))

    def count_of(self, task: StageTask) -> Count:
        """Return the count of a stage."""
        if task.name not in self._counts:
            self._counts[task.name] = Count(task.name, self.context.session.models, task.stage.repairs(self.recipe))
            self.reached.append(task)
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


class PlannedChunk:
    """One chunk of prompts in a plan: those whose answers are known so far, and how many others there are."""

    def __init__(self, planner: Planner, unknown: int, number: int = 0, inputs: Mapping[str, Shard] | None = None):
        self._planner = planner
        self._unknown = unknown
        self.number = number
        self._inputs = dict(inputs or {})

    async def through(self, task: StageTask) -> None:
        """Count what a stage asks about the chunk; prompts with an unanswered question are unknown from there on."""
        planner = self._planner
        if not task.stage.wanted(planner.recipe):
            return
        planner.guess(task, self._unknown)
        if self._inputs and task.stage.pays:
            more = task.how.more_inputs(planner.context, ORIGINALS)
            handle = planner.done(task, self.number, {**self._inputs, **more})
            self._inputs |= outputs_of(handle)
            self._leave_out(_unanswered_prompts(planner.context, handle))

    def _leave_out(self, prompts: set[str]) -> None:
        if prompts:
            names = ", ".join(f"'{name}'" for name in sorted(prompts))
            for table in ("prompts", "responses"):
                if table in self._inputs:
                    path = quoted(self._planner.context.path(self._inputs[table]))
                    query = f"SELECT * FROM read_parquet({path}) WHERE prompt_id NOT IN ({names})"
                    self._inputs[table] = self._planner.context.written(query)
            self._unknown += len(prompts)


def _unanswered_prompts(context: Context, handle: Handle) -> set[str]:
    """Return the prompts of a chunk of which a question has no answer yet."""
    rows = read_rows(context.session.run, handle.shards.get("quarantine"), ["reason", "payload"])
    return {orjson.loads(row["payload"])["prompt_id"] for row in rows if row["reason"] == NOT_ASKED}
