"""The conductor against a real Prefect server: what is reused, distrusted, tried again, and what stops a run."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner

from blocks.dispatcher import ModelUnusableError
from blocks.ledger import LedgerError
from blocks.shards import Account, Handle, Shard
from blocks.tables import table
from blocks.workspace import RunHandle
from flows.conductor import Conductor, all_or_none
from flows.jobs import Stages
from flows.progress import Progress
from tasks.asking import ChunkJob, Session
from tasks.gate.config import GatesConfig
from tasks.gate.outcome import GateFailedError, Outcome
from tasks.prefect_tasks import GATES, WORK
from tests.tasks.helpers import prompt, response, session

pytestmark = pytest.mark.usefixtures("prefect_server")
PROMPT = {"prompt_id": "p"}


class Trial:
    """One run of a conductor in a flow, whose chunks are done by a function."""

    def __init__(self, folder: Path, name: str, work: Callable[[ChunkJob], Handle] | None = None) -> None:
        self.session = session(folder, run_id=name)
        self.done: list[int] = []
        self.said: list[str] = []
        self.progress = Progress()
        self._work = work or self.handle
        WORK[name] = {"respond": self._do}

    def _do(self, job: ChunkJob) -> dict[str, Any]:
        self.done.append(job.chunk)
        return self._work(job).model_dump()

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

    def job(self, chunk: int = 0, key: str = "key") -> ChunkJob:
        return ChunkJob(stage="respond", chunk=chunk, run=self.session.run.id, cache_key=f"{key}-{chunk}")

    def conduct(self, work: Callable[[Conductor], Awaitable[Any]], on_fail: str = "stop") -> Any:
        gates = GatesConfig.model_validate({"on_fail": on_fail})
        recipe = SimpleNamespace(gates=gates, expectations=gates.all())
        stages = cast(Stages, SimpleNamespace(session=self.session, recipe=recipe))

        @flow(task_runner=ThreadPoolTaskRunner(max_workers=4), name="trial")
        async def trial() -> Any:
            return await work(Conductor(stages, self.progress, self.said.append))

        return asyncio.run(trial())  # type: ignore[arg-type]

    def do(self, *chunks: int, key: str = "key") -> list[RunHandle]:
        async def work(conductor: Conductor) -> list[RunHandle]:
            return list(await asyncio.gather(*(conductor.do(self.job(chunk, key)) for chunk in chunks)))

        return cast(list[RunHandle], self.conduct(work))


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
    assert trial.session.run.workspace.shards.holds(again.handle.shards)
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
        raise error

    trial = Trial(tmp_path, "one", fails)
    with pytest.raises(type(error), match=str(error)):
        trial.do(0)
    assert trial.done == [0]
    assert trial.session.run.handles() == []


def outcome(success: bool, severity: str = "critical") -> dict[str, Any]:
    words = {"expectation": "x", "observed": "0", "detail": "1"}
    return Outcome(stage="respond", scope="whole", severity=severity, success=success, **words).model_dump()


@pytest.mark.parametrize(
    ("severity", "on_fail", "stops"),
    [("critical", "stop", True), ("critical", "warn", False), ("warning", "stop", False)],
)
def test_a_failed_gate_stops_or_warns_and_is_kept_and_judged_once(
    tmp_path: Path, severity: str, on_fail: str, stops: bool
) -> None:
    trial = Trial(tmp_path, "one")
    judged: list[tuple[str, str]] = []

    def judge(stage: str, scope: str) -> list[dict[str, Any]]:
        judged.append((stage, scope))
        return [outcome(False, severity), outcome(True)]

    GATES["one"] = judge
    if stops:
        with pytest.raises(GateFailedError, match="respond: x saw 0, expected 1"):
            trial.conduct(lambda conductor: conductor.gate("respond", "whole"), on_fail)
    else:
        assert len(trial.conduct(lambda conductor: conductor.gate("respond", "whole"), on_fail)) == 2
    assert judged == [("respond", "whole")]
    assert trial.said == [f"gate {severity}: respond: x saw 0, expected 1"]
    [counted] = trial.session.run.handles()
    assert counted.handle.shards["gates"].rows == 2


@pytest.mark.parametrize("passes", [True, False])
def test_a_stage_waits_for_its_scout_beyond_a_bounded_send_ahead(tmp_path: Path, passes: bool) -> None:
    trial = Trial(tmp_path, "one")
    chunk = trial.session.run.workspace.shards.write(table("prompts", [prompt("Why?")]))
    begun: list[int] = []
    ahead = threading.Event()

    def judge(stage: str, scope: str) -> list[dict[str, Any]]:
        assert ahead.wait(60)
        return [outcome(passes)]

    async def one(number: int, shard: Shard) -> None:
        begun.append(number)
        if len(begun) == 3:  # 256 calls at once, five times over, are three chunks of 512
            ahead.set()

    GATES["one"] = judge
    chunks = [chunk.model_copy(update={"rows": 512})] * 40

    async def work(conductor: Conductor) -> None:
        await conductor.scouted("respond", {"small"}, chunks, one)

    if passes:
        trial.conduct(work)
    else:
        with pytest.raises(GateFailedError, match="respond: x saw 0, expected 1"):
            trial.conduct(work)
    assert sorted(begun) == list(range(40 if passes else 3))


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
        asyncio.run(all_or_none([slow("a"), fails(), slow("b")], 10))
    assert sorted(ended) == ["a", "b"]


def test_no_more_are_begun_at_once_than_told() -> None:
    running, most = 0, 0

    async def one() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1

    asyncio.run(all_or_none((one() for _ in range(50)), 7))
    assert most == 7
    assert threading.active_count() < 50


def test_a_session_is_what_the_conductor_counts_in(tmp_path: Path) -> None:
    trial = Trial(tmp_path, "one")
    assert isinstance(trial.session, Session)
