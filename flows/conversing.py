"""Dialogues of several turns: every prompt that is left goes on until it has as many as its source says."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

import duckdb

from blocks.dispatcher import Question
from blocks.estimates import TOKENS_GUESSED, prompt_tokens
from blocks.llm import Completion
from blocks.shards import Shard
from blocks.tables import quoted
from flows.chunks import prompt_chunks
from flows.conductor import Conductor
from flows.jobs import Stages
from flows.options import Options
from flows.plan import PROMPT_TOKENS_GUESSED, Count, StagePlan, guess_answers
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
    """What further turns will ask, as far as the ledger has the answers that decide it, and at most after that."""
    count = _Turns(stages, plan)
    for chunk in chunks:
        asked, unheard = converse.foreseen(stages.session, plan, read_rows(stages.session.run, chunk))
        count.add(asked, known_answers(stages.session, asked))
        for talk in unheard:
            count.guess_rest(talk)
    return count.plan()


def guess_turns(stages: Stages, plan: Dialogues, prompts: int) -> StagePlan:
    """What the turns of some prompts that nobody knows yet will ask at most."""
    count = _Turns(stages, plan)
    for call in _calls(plan, 1, False, PROMPT_TOKENS_GUESSED):
        count.guess(call, prompts)
    return count.plan()


def guess_onward(stages: Stages, prompts: int) -> list[StagePlan]:
    """What further turns, respond and judge will ask at most for a number of prompts that nobody knows yet."""
    if (plan := stages.dialogues) is None:
        return guess_answers(stages, prompts)
    return [guess_turns(stages, plan, prompts), *guess_answers(stages, prompts, earlier_tokens(plan))]


def earlier_tokens(plan: Dialogues) -> int:
    """About how many tokens stand before the last turn of a dialogue that began as a single one."""
    return (plan.count - 1) * (PROMPT_TOKENS_GUESSED + _answer_tokens(plan))


class _Turns:
    """Adds up the calls of dialogues: those that answer, and those that invent the user's next words."""

    def __init__(self, stages: Stages, plan: Dialogues) -> None:
        self._plan = plan
        self._answers, self._words = Count(stages, converse.STAGE), Count(stages, converse.STAGE)

    def add(self, asked: Sequence[Question], known: Mapping[str, Completion]) -> None:
        """Count some questions."""
        self._answers.add([one for one in asked if "messages" in one.request], known)
        self._words.add([one for one in asked if "messages" not in one.request], known)

    def guess_rest(self, talk: converse.Talk) -> None:
        """Count what a dialogue asks after the question that is counted already."""
        answered = talk.messages[-1]["role"] == "assistant"
        said = prompt_tokens({"messages": talk.messages})
        for call in islice(_calls(self._plan, talk.turns, answered, said), 1, None):
            self.guess(call, 1)

    def guess(self, call: tuple[bool, int], dialogues: int) -> None:
        """Count one call for each of some dialogues: whether it answers, and about how many tokens it is asked."""
        plan, (answers, tokens) = self._plan, call
        if answers:
            self._answers.guess(plan.answerer, dialogues, dialogues * tokens, plan.answers.sampling.max_tokens)
        else:
            self._words.guess(plan.model, dialogues, dialogues * tokens, plan.sampling.max_tokens)

    def plan(self) -> StagePlan:
        """The sum."""
        return self._answers.plan().plus(self._words.plan())


def _calls(plan: Dialogues, turns: int, answered: bool, tokens: int) -> Iterator[tuple[bool, int]]:
    """The calls of a dialogue with so many turns of the user and tokens, until it has all its turns.

    Each is told by whether it answers, and about how many tokens it is asked.
    """
    for _ in range(turns, plan.count):
        if not answered:
            yield True, tokens
            tokens += _answer_tokens(plan)
        yield False, tokens
        tokens += PROMPT_TOKENS_GUESSED
        answered = False


def _answer_tokens(plan: Dialogues) -> int:
    most = plan.answers.sampling.max_tokens
    return TOKENS_GUESSED if most is None else min(most, TOKENS_GUESSED)


def _together(stages: Stages, shards: list[Shard], prompts: Shard) -> Shard:
    """The dialogues of all chunks as one shard, in the order of their positions."""
    store = stages.session.run.workspace.shards
    files = ", ".join(quoted(store.path(shard)) for shard in shards or [prompts])
    with duckdb.connect(":memory:") as connection:
        connection.execute("SET memory_limit = '512MB'")
        connection.execute(f"SET temp_directory = {quoted(stages.session.run.folder / 'scratch')}")
        rows = connection.sql(f"SELECT * FROM read_parquet([{files}]) ORDER BY position, prompt_id")
        return store.write(rows.to_arrow_table())
