"""An active run against a real Prefect server: what is reused, distrusted, tried again, and what stops a run."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner

from kasasagi.blocks.dispatch.dispatcher import ModelUnusableError, StoppedError
from kasasagi.blocks.ledger.store import LedgerError
from kasasagi.blocks.workspace.runs import RunHandle
from kasasagi.blocks.workspace.shards import Account, Handle
from kasasagi.flows.reporting.progress import Progress
from kasasagi.flows.run.active import ActiveRun
from kasasagi.flows.run.chunk_runner import ChunkRunner
from kasasagi.flows.run.concurrency import Concurrency, gather_bounded
from kasasagi.flows.run.driver import Chunk
from kasasagi.flows.run.options import Options
from kasasagi.tasks.asking import ChunkJob
from kasasagi.tasks.context import Context, activate
from kasasagi.tasks.gate.config import GatesConfig
from kasasagi.tasks.gate.outcome import GateFailedError, Outcome
from kasasagi.tasks.gate.validation_results import read_results
from kasasagi.tasks.recipe import Recipe
from kasasagi.tasks.stage import Stage
from kasasagi.tasks.stage_task import Chunking, stage_task
from kasasagi.tasks.tables import table
from tests.tasks.helpers import prompt, response, session

pytestmark = pytest.mark.usefixtures("prefect_server")
PROMPT = {"prompt_id": "p"}
JUDGE_CHUNKS = "kasasagi.tasks.gate.task.judge_chunks"
RESPOND = Stage(
    "respond",
    version=1,
    wanted=lambda recipe: True,
    task="",
    named_models=lambda recipe: [("respond.models.0", "small")],
)


class Trial:
    """One active run in a flow, whose chunks are done by a function."""

    def __init__(self, folder: Path, name: str, work: Callable[[ChunkJob], Handle] | None = None) -> None:
        self.logged: list[str] = []
        self.session = session(folder, run_id=name, log=self.logged.append)
        self.base = folder
        self.expect: list[dict[str, Any]] = []
        self.done: list[int] = []
        self.progress = Progress()
        self.key = "key"
        self._work = work or self.handle
        self.task = stage_task(RESPOND, Chunking(lambda context, job: [self.key], ("responses",)))(self._do)

    def _do(self, context: Context, job: ChunkJob) -> Handle:
        """Answer one chunk."""
        self.done.append(job.chunk)
        return self._work(job)

    def handle(self, job: ChunkJob, complete: bool = True) -> Handle:
        shard = self.session.run.workspace.shards.write(table("responses", [response(PROMPT, job.chunk)]))
        return Handle(
            stage=job.stage,
            chunk=job.chunk,
            run=job.run,
            complete=complete,
            shards={"responses": shard},
            account=Account(rows_in=1, rows_out=1, calls_paid=1),
        )

    def conduct(self, work: Callable[[ActiveRun], Awaitable[Any]], on_fail: str = "stop") -> Any:
        gates = GatesConfig.model_validate({"on_fail": on_fail, "expect": self.expect})
        recipe = cast(Recipe, SimpleNamespace(gates=gates, expectations=gates.all()))
        context = Context(self.session, recipe, self.base)
        options = Options(self.session.run.workspace, progress=self.progress, log=self.logged.append)

        @flow(task_runner=ThreadPoolTaskRunner(max_workers=4), name="trial")
        async def trial() -> Any:
            with activate(context):
                return await work(ActiveRun(context, options))

        return asyncio.run(trial())  # type: ignore[arg-type]

    def do(self, *chunks: int, key: str = "key") -> list[RunHandle]:
        async def work(run: ActiveRun) -> None:
            self.key = key
            await asyncio.gather(*(run.do(self.task, Chunk(chunk)) for chunk in chunks))

        self.conduct(work)
        return sorted(self.session.run.handles(), key=lambda one: one.handle.chunk)


def test_a_chunk_is_done_once_and_reused_by_later_runs_for_nothing(tmp_path: Path) -> None:
    first = Trial(tmp_path, "one")
    assert [one.reused for one in first.do(0, 1, 2)] == [False] * 3
    assert sorted(first.done) == [0, 1, 2]
    second = Trial(tmp_path, "two")
    counted = second.do(0, 1, 2)
    assert second.done == []
    assert [one.reused for one in counted] == [True] * 3
    assert [(one.account.calls_paid, one.account.calls_reused, one.account.rows_out) for one in counted] == [
        (0, 1, 1)
    ] * 3
    assert second.progress.done == {"respond": 3}
    assert len(second.session.run.handles()) == 3


def test_another_configuration_or_input_is_another_chunk(tmp_path: Path) -> None:
    Trial(tmp_path, "one").do(0)
    other = Trial(tmp_path, "two")
    other.do(0, key="other")
    assert other.done == [0]


@pytest.mark.parametrize("fault", ["missing", "torn"])
def test_a_lost_or_torn_shard_is_made_again(tmp_path: Path, fault: str) -> None:
    [counted] = Trial(tmp_path, "one").do(0)
    trial = Trial(tmp_path, "two")
    path = trial.session.run.workspace.shards.path(counted.handle.shards["responses"])
    if fault == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-5])
    [again] = trial.do(0)
    assert trial.done == [0]
    assert not again.reused
    assert trial.session.run.workspace.shards.contains_all(again.handle.shards)
    third = Trial(tmp_path, "three")
    assert third.do(0)[0].reused


def test_an_incomplete_chunk_is_done_again_until_it_is_whole(tmp_path: Path) -> None:
    first = Trial(tmp_path, "one", lambda job: first.handle(job, complete=False))
    [counted] = first.do(0)
    assert not counted.handle.complete
    second = Trial(tmp_path, "two")
    assert not second.do(0)[0].reused
    assert second.done == [0]
    third = Trial(tmp_path, "three")
    assert third.do(0)[0].reused


@pytest.mark.parametrize("text", [b"", b'{"metadata": {"stor', b"[]", b'{"result": 5}'])
def test_a_torn_result_of_a_killed_run_is_made_again(tmp_path: Path, text: bytes) -> None:
    Trial(tmp_path, "one").do(0)
    trial = Trial(tmp_path, "two")
    [file] = [file for file in trial.session.run.workspace.results_folder.rglob("*") if file.is_file()]
    file.write_bytes(text)
    [again] = trial.do(0)
    assert trial.done == [0]
    assert not again.reused
    assert Trial(tmp_path, "three").do(0)[0].reused


def test_a_lost_worker_is_survived(tmp_path: Path) -> None:
    def fails_once(job: ChunkJob) -> Handle:
        if len(trial.done) == 1:
            raise OSError("the worker was lost")
        return trial.handle(job)

    trial = Trial(tmp_path, "one", fails_once)
    [counted] = trial.do(0)
    assert trial.done == [0, 0]
    assert counted.handle.complete


@pytest.mark.parametrize(
    "error", [ModelUnusableError("no such model"), LedgerError("full"), ValueError("ours"), TypeError("ours")]
)
def test_what_another_attempt_cannot_mend_is_tried_once(tmp_path: Path, error: Exception) -> None:
    def fails(job: ChunkJob) -> Handle:
        raise type(error)(*error.args)  # a parameter with a traceback would keep all modules alive to the end

    trial = Trial(tmp_path, "one", fails)
    with pytest.raises(type(error), match=str(error)):
        trial.do(0)
    assert trial.done == [0]
    assert trial.session.run.handles() == []


def outcome(success: bool, severity: str = "critical") -> Outcome:
    words = {"expectation": "x", "observed": "0", "detail": "1"}
    return Outcome(stage="respond", scope="whole", severity=severity, success=success, **words)


@pytest.mark.parametrize(
    ("severity", "on_fail", "stops"),
    [("critical", "stop", True), ("critical", "warn", False), ("warning", "stop", False)],
)
def test_a_failed_gate_stops_or_warns_and_is_kept_and_judged_once(
    tmp_path: Path, severity: str, on_fail: str, stops: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = Trial(tmp_path, "one")
    judged: list[tuple[str, str]] = []

    def judge(run: object, chunks: object, stage: str, scope: str, *_: object) -> list[Outcome]:
        judged.append((stage, scope))
        return [outcome(False, severity), outcome(True)]

    monkeypatch.setattr(JUDGE_CHUNKS, judge)
    if stops:
        with pytest.raises(GateFailedError, match=r"respond: x: 0 \(1\)"):
            trial.conduct(lambda run: run.gates(trial.task), on_fail)
    else:
        trial.conduct(lambda run: run.gates(trial.task), on_fail)
    assert judged == [("respond", "whole")]
    [logged] = trial.logged
    sentence, _, see = logged.partition("; ")
    assert sentence == f"gate {severity}: respond: x: 0 (1)"
    assert see.startswith("" if stops else f"see kasasagi show {trial.session.run.id}")
    [counted] = trial.session.run.handles()
    assert counted.handle.shards["gates"].rows == 2


@pytest.mark.parametrize("passes", [True, False])
def test_a_stage_waits_for_its_scout_beyond_a_bounded_send_ahead(
    tmp_path: Path, passes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = Trial(tmp_path, "one")
    prompts = [trial.session.run.workspace.shards.write(table("prompts", [prompt(f"Why {n}?")])) for n in range(40)]
    shards = [chunk.model_copy(update={"rows": 512}) for chunk in prompts]
    chunks = [Chunk(number, {"prompts": shard}) for number, shard in enumerate(shards)]
    ahead = threading.Event()

    def counted(job: ChunkJob) -> Handle:
        if len(trial.done) == 3:  # 256 calls at once, five times over, are three chunks of 512
            ahead.set()
        return trial.handle(job)

    def judge(*_: object, **__: object) -> list[Outcome]:
        assert ahead.wait(60)
        return [outcome(passes)]

    trial = Trial(tmp_path, "two", counted)
    monkeypatch.setattr(JUDGE_CHUNKS, judge)

    async def work(run: ActiveRun) -> None:
        concurrency = Concurrency.of(run.context, RESPOND, chunks)
        runner = ChunkRunner(run, run.judging, [trial.task], chunks, concurrency)
        await gather_bounded(runner.run, chunks, concurrency.at_once)

    if passes:
        trial.conduct(work)
    else:
        with pytest.raises(GateFailedError, match=r"respond: x: 0 \(1\)"):
            trial.conduct(work)
    assert sorted(trial.done) == list(range(40 if passes else 3))


def test_the_first_error_ends_all_and_is_the_one_that_is_raised() -> None:
    ended: list[str] = []

    async def slow(name: str) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(name)

    async def fails() -> None:
        raise LedgerError("full")

    with pytest.raises(LedgerError, match="full"):
        asyncio.run(gather_bounded(lambda one: one(), [partial(slow, "a"), fails, partial(slow, "b")], 10))
    assert sorted(ended) == ["a", "b"]


def test_no_more_are_begun_at_once_than_told() -> None:
    running, most = 0, 0

    async def one(_: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1

    asyncio.run(gather_bounded(one, range(50), 7))
    assert most == 7
    assert threading.active_count() < 50


def test_an_own_class_beside_the_recipe_judges_and_leaves_its_result_in_the_run(tmp_path: Path) -> None:
    trial = Trial(tmp_path, "own")
    text = "from great_expectations.expectations import ExpectTableRowCountToBeBetween as Rows\n"
    (tmp_path / "my_gates.py").write_text(f"{text}class ExpectTwoRows(Rows):\n    min_value: int = 2\n")
    trial.expect = [{"stage": "respond", "expectation": "my_gates:ExpectTwoRows"}]

    async def work(run: ActiveRun) -> list[Outcome]:
        await run.do(trial.task, Chunk(0))
        await run.judging.gate(RESPOND, "scout")
        await run.do(trial.task, Chunk(1))
        return await run.judging.gate(RESPOND, "whole")

    outcomes = trial.conduct(work, "warn")
    assert {one.expectation: one.success for one in outcomes}["my_gates:ExpectTwoRows"]
    results = {one.scope: one.results[-1] for one in read_results(trial.session.run)}
    assert {scope: (one.expectation, one.success) for scope, one in results.items()} == {
        "scout": ("my_gates:ExpectTwoRows", False),
        "whole": ("my_gates:ExpectTwoRows", True),
    }


def test_a_chunk_that_was_stopped_is_cancelled_and_not_cached(tmp_path: Path) -> None:
    def stopped(job: ChunkJob) -> Handle:
        raise StoppedError("the run was interrupted")

    states: list[tuple[str, str | None]] = []

    async def work(run: ActiveRun) -> None:
        with pytest.raises(StoppedError):
            await run.do(trial.task, Chunk(0))
        states.extend((future.state.type.value, future.state.message) for future in run.behind(trial.task))

    trial = Trial(tmp_path, "one", stopped)
    trial.conduct(work)
    assert states == [("CANCELLED", "the run was interrupted")]
    [again] = Trial(tmp_path, "two").do(0)
    assert not again.reused
    results = [file for file in trial.session.run.workspace.results_folder.rglob("*") if file.is_file()]
    assert len(results) == 1, "only what the second run did is cached"
