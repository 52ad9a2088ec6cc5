"""The process that judges gates beside a run: the same outcomes, and none lost where it ends."""

import os
import signal
from collections.abc import Iterator, Sequence

import pytest

from kasasagi.blocks.workspace.runs import Run, RunHandle
from kasasagi.blocks.workspace.shards import Account, Handle
from kasasagi.tasks.gate.config import GatesConfig
from kasasagi.tasks.gate.evaluation import chunks, gate_process
from kasasagi.tasks.gate.evaluation.evaluate import judge_stage
from kasasagi.tasks.gate.evaluation.gate_process import GateProcess
from kasasagi.tasks.gate.outcome import Outcome
from kasasagi.tasks.tables import table
from kasasagi.tasks.tables.run_tables import tables_of
from tests.tasks.test_gate import refused, responses, run

__all__ = ["run"]
EVERY = GatesConfig().all()


@pytest.fixture
def handles(run: Run) -> Sequence[RunHandle]:
    """The chunk of a respond stage, some answers of which are refused."""
    rows = {"responses": responses(70), "quarantine": refused(30)}
    shards = {name: run.workspace.shards.write(table(name, some)) for name, some in rows.items()}
    handle = Handle(stage="respond", run=run.id, shards=shards, account=Account(rows_in=100, rows_out=70))
    return [run.add(handle, reused=False)]


@pytest.fixture
def process(run: Run, monkeypatch: pytest.MonkeyPatch) -> Iterator[GateProcess]:
    """A process, as a run without Great Expectations has it."""
    monkeypatch.setattr(gate_process, "is_library_imported", lambda: False)
    with GateProcess() as begun:
        yield begun


HERE = {place: one for place, one in enumerate(EVERY) if one.stage == "respond" and one.scope in ("scout", "both")}


def judged(run: Run, handles: Sequence[RunHandle], process: GateProcess) -> list[Outcome] | None:
    found = process.outcomes(run, handles, "scout", HERE)
    return None if found is None else [found[place] for place in HERE]


def here(run: Run, handles: Sequence[RunHandle]) -> list[Outcome]:
    with tables_of(run, handles) as tables:
        return judge_stage(tables, "respond", "scout", EVERY)


def pid_of(process: GateProcess) -> int:
    assert process._process is not None
    return process._process.pid


def test_a_gate_is_judged_elsewhere_with_the_same_outcomes_again_and_again(
    run: Run, handles: Sequence[RunHandle], process: GateProcess
) -> None:
    expected = here(run, handles)
    assert any(one.stops for one in expected)
    assert judged(run, handles, process) == expected
    first = pid_of(process)
    assert judged(run, handles, process) == expected
    assert pid_of(process) == first


def test_where_the_process_judges_the_run_opens_no_tables(
    run: Run, handles: Sequence[RunHandle], process: GateProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = here(run, handles)
    monkeypatch.delattr(chunks, "tables_of")
    assert chunks.judge_chunks(run, handles, "respond", "scout", EVERY, process) == expected


def test_where_the_process_ends_the_run_judges_by_itself(
    run: Run, handles: Sequence[RunHandle], process: GateProcess
) -> None:
    process.begin()
    os.kill(pid_of(process), signal.SIGKILL)
    assert judged(run, handles, process) is None
    assert chunks.judge_chunks(run, handles, "respond", "scout", EVERY, process) == here(run, handles)


def test_a_question_that_the_process_cannot_answer_ends_it_not(
    run: Run, handles: Sequence[RunHandle], process: GateProcess
) -> None:
    lost = run.workspace.shards.path(handles[0].handle.shards["responses"])
    lost.rename(lost.with_suffix(".gone"))
    assert judged(run, handles, process) is None
    lost.with_suffix(".gone").rename(lost)
    assert judged(run, handles, process) == here(run, handles)


def test_the_process_ends_with_its_run(run: Run, process: GateProcess) -> None:
    process.begin()
    started = process._process
    process.__exit__()
    assert started is not None
    assert started.wait(10) == 0
    process.begin()
    assert process._process is started


def test_where_the_library_is_imported_no_process_is_begun(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate_process, "is_library_imported", lambda: True)
    with GateProcess() as process:
        process.begin()
        assert process._process is None
