"""Reports to Prefect: how long they may take, and what a run comes to if Prefect does not answer."""

import asyncio
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest

from kasasagi.flows.reporting import artifacts
from kasasagi.flows.reporting.artifacts import ProgressArtifacts
from kasasagi.flows.reporting.progress import Progress
from kasasagi.flows.reporting.report_timeouts import Reports


async def never() -> None:
    """Wait as a server does that does not answer."""
    await asyncio.Event().wait()


def settled(reports: Reports, run: Coroutine[Any, Any, object]) -> str:
    return asyncio.run(reports.wait_for(run))


def test_all_reports_share_the_time_there_is() -> None:
    reports = Reports(seconds=0.05)

    async def report() -> list[str]:
        reported = []
        for _ in range(3):
            try:
                await reports.within(never())
            except TimeoutError:
                reported.append("late")
        return reported

    assert asyncio.run(report()) == ["late", "late", "late"]
    assert reports._left == 0.0


def test_a_report_gives_what_it_made_and_raises_what_it_raised() -> None:
    async def made() -> str:
        return "made"

    async def failed() -> None:
        raise ValueError("the server has no room")

    reports = Reports()
    assert asyncio.run(reports.within(made())) == "made"
    with pytest.raises(ValueError, match="no room"):
        asyncio.run(reports.within(failed()))


def test_a_run_that_prefect_takes_note_of_is_not_abandoned() -> None:
    reports = Reports()

    async def run() -> str:
        reports.close("run-1", None)
        await asyncio.sleep(0)
        return "run-1"

    assert settled(reports, run()) == "run-1"
    assert not reports.abandoned


def test_a_run_that_has_ended_does_not_wait_for_a_silent_prefect() -> None:
    reports = Reports(seconds=0.05)

    async def run() -> str:
        reports.close("run-1", None)
        await never()
        return "never"

    assert settled(reports, run()) == "run-1"
    assert reports.abandoned


def test_a_fault_of_prefect_at_the_end_is_not_the_runs_own() -> None:
    reports = Reports()

    async def run() -> str:
        reports.close("run-1", None)
        raise OSError("Server error '500 Internal Server Error'")

    assert settled(reports, run()) == "run-1"
    assert reports.unreported == "Server error '500 Internal Server Error'"
    assert not reports.abandoned


def test_the_runs_own_failure_is_no_fault_of_prefect() -> None:
    reports, failure = Reports(), LookupError("a gate stopped the run")

    async def run() -> str:
        reports.close("run-1", failure)
        raise failure

    with pytest.raises(LookupError, match="a gate stopped"):
        settled(reports, run())
    assert reports.unreported is None


def test_what_stopped_a_run_is_raised_though_prefect_is_silent() -> None:
    reports = Reports(seconds=0.05)

    async def run() -> str:
        reports.close("run-1", LookupError("a gate stopped the run"))
        await never()
        return "never"

    with pytest.raises(LookupError, match="a gate stopped"):
        settled(reports, run())


def test_a_failure_before_there_is_a_run_is_raised_at_once() -> None:
    async def run() -> str:
        raise LookupError("no such recipe")

    with pytest.raises(LookupError, match="no such recipe"):
        settled(Reports(), run())


def test_an_interrupt_ends_the_run_and_waits_for_its_state() -> None:
    reports, written = Reports(), list[str]()

    async def run() -> str:
        try:
            await never()
        finally:
            await asyncio.sleep(0.01)
            written.append("stopped")
        return "never"

    async def interrupted() -> None:
        waiting = asyncio.create_task(reports.wait_for(run()))
        await asyncio.sleep(0.01)
        waiting.cancel()
        await waiting

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(interrupted())
    assert written == ["stopped"]


def test_the_artifact_of_a_stage_is_updated_ten_times_however_many_chunks_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown: dict[UUID, list[float]] = {}

    async def create(share: float, key: str, description: str) -> UUID:
        shown[made := uuid4()] = [share]
        return made

    async def update(artifact: UUID, share: float, description: str = "") -> None:
        shown[artifact].append(share)

    monkeypatch.setattr(artifacts, "acreate_progress_artifact", create)
    monkeypatch.setattr(artifacts, "aupdate_progress_artifact", update)
    monkeypatch.setattr(artifacts, "line", lambda *_: "the same")
    progress = Progress()
    progress.expect("respond", 1_000)

    async def run() -> None:
        dispatcher: Any = SimpleNamespace(counters=SimpleNamespace(answered=0))
        reports = ProgressArtifacts("job", progress, dispatcher, Reports())
        for _ in range(1_000):
            progress.count("respond")
            await reports._bring_up_to_date()

    asyncio.run(run())
    total, stage = shown.values()
    assert stage == [*range(0, 101, 10)]
    assert len(total) == 1
