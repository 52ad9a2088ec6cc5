"""The workspace and its runs: what is known of a run from outside, also of one that was killed."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from kasasagi.blocks.workspace.runs import Run, Workspace, WorkspaceError
from kasasagi.blocks.workspace.shards import Account, Handle, Shard
from tests.blocks.helpers import until

ROOT = Path(__file__).parents[2]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = Workspace(tmp_path / "workspace")
    made.prepare()
    return made


def begin(workspace: Workspace, name: str = "20260101-000000-job-aaaa") -> Run:
    return Run.begin(workspace, name, "job", {"name": "鵲"})


def handle(stage: str = "respond", chunk: int = 0, digest: str = "d", **account: Any) -> Handle:
    shards = {"responses": Shard(digest=digest, rows=1)}
    return Handle(stage=stage, chunk=chunk, run="r", shards=shards, account=Account(**account))


def test_the_folder_is_named_or_from_the_environment_or_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KASASAGI_WORKSPACE", raising=False)
    assert Workspace.resolve().folder == tmp_path / "workspace"
    monkeypatch.setenv("KASASAGI_WORKSPACE", str(tmp_path / "other"))
    assert Workspace.resolve().folder == tmp_path / "other"
    assert Workspace.resolve("third").folder == tmp_path / "third"


def test_a_run_that_goes_on_is_running(workspace: Workspace) -> None:
    run = begin(workspace)
    assert (run.state().status, run.state().pid, run.state().name) == ("running", os.getpid(), "job")
    assert run.recipe() == {"name": "鵲"}


@pytest.mark.parametrize(
    ("recipe", "product"),
    [
        ({"source": {"kind": "magpie"}}, "instructions"),
        ({"source": {"kind": "dataset", "path": "p"}, "respond": {"models": ["small"]}}, "responses"),
        ({"source": {"kind": "magpie"}, "respond": {"models": ["small"]}, "judge": {"model": "critic"}}, "pairs"),
        (
            {"source": {"kind": "magpie"}, "respond": {"models": ["a"]}, "pairs": {"strategy": "strong_vs_weak"}},
            "pairs",
        ),
        ({"source": {"kind": "dataset", "path": "p", "responses": {}}, "judge": {"model": "critic"}}, "pairs"),
    ],
)
def test_what_a_run_makes_follows_from_its_recipe(workspace: Workspace, recipe: dict[str, Any], product: str) -> None:
    run = Run.begin(workspace, "20260101-000000-job-bbbb", "job", recipe)
    assert run.product() == product


def test_a_killed_run_is_noticed(workspace: Workspace) -> None:
    run = begin(workspace)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    created = psutil.Process(child.pid).create_time()
    state = run.state().model_copy(update={"pid": child.pid, "pid_started": created})
    run.save(state)
    assert run.state().status == "running"
    child.send_signal(signal.SIGKILL)
    until(lambda: psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE)
    assert run.state().status == "killed", "a process that nobody waited for is dead all the same"
    child.wait()
    assert run.state().status == "killed"


def test_a_process_id_that_somebody_else_has_now_is_no_sign_of_life(workspace: Workspace) -> None:
    run = begin(workspace)
    run.save(run.state().model_copy(update={"pid_started": time.time() - 5000}))
    assert run.state().status == "killed"


def test_a_run_that_ended_stays_what_it_was(workspace: Workspace) -> None:
    run = begin(workspace)
    run.save(run.state().model_copy(update={"status": "done", "pid": 2**22 - 1, "exit_code": 0}))
    assert run.state().status == "done"


def test_a_later_handle_of_a_chunk_takes_the_place_of_an_earlier_one(workspace: Workspace) -> None:
    run = begin(workspace)
    run.add(handle(chunk=0, digest="old"), reused=False)
    run.add(handle(chunk=1), reused=False)
    run.add(handle("judge", chunk=0), reused=False)
    run.add(handle(chunk=0, digest="new"), reused=False)
    found = {(one.handle.stage, one.handle.chunk): one.handle.shards["responses"].digest for one in run.handles()}
    assert found == {("respond", 0): "new", ("respond", 1): "d", ("judge", 0): "d"}


def test_a_reused_handle_is_counted_as_free(workspace: Workspace) -> None:
    run = begin(workspace)
    counted = run.add(handle(calls_paid=3, cost_usd=1.0, rows_in=3, rows_out=3), reused=True)
    assert counted.account == Account(rows_in=3, rows_out=3, calls_reused=3)
    assert run.handles() == [counted]
    assert counted.handle.account.calls_paid == 3


def test_an_unfinished_last_line_is_not_there_yet(workspace: Workspace) -> None:
    run = begin(workspace)
    assert run.handles() == []
    run.add(handle(chunk=0), reused=False)
    run.add(handle(chunk=1), reused=False)
    file = run.folder / "handles.jsonl"
    whole = file.read_bytes()
    for length in (len(whole) - 1, len(whole) - 40):
        file.write_bytes(whole[:length])
        assert [one.handle.chunk for one in run.handles()] == [0]


def test_runs_are_listed_from_the_latest_and_found_by_a_beginning(workspace: Workspace) -> None:
    names = ["20260101-a", "20260102-b", "20260102-c"]
    for number, name in enumerate(names):
        run = begin(workspace, name)
        run.save(run.state().model_copy(update={"started": 1000.0 + number}))
    assert [state.run for state in workspace.runs()] == names[::-1]
    assert workspace.run().id == "20260102-c"
    assert workspace.run("20260101").id == "20260101-a"
    assert workspace.run("20260102-b").id == "20260102-b"
    for name, words in {
        "20260102": "several runs .*: 20260102-c, 20260102-b",
        "2027": "the latest runs are: 20260102-c",
        "": "20260102-c",
    }.items():
        with pytest.raises(WorkspaceError, match=words):
            workspace.run(name)


def test_a_workspace_without_runs_says_so(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="run a recipe first"):
        Workspace(tmp_path / "nothing").run()


def test_a_folder_that_is_no_run_disturbs_nobody(workspace: Workspace) -> None:
    begin(workspace)
    (workspace.runs_folder / "half").mkdir()
    (workspace.runs_folder / "half" / "run.json.new").write_text("{")
    assert len(workspace.runs()) == 1


def test_a_workspace_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(WorkspaceError, match=r"cannot be written .*--workspace"):
        Workspace(tmp_path / "file").prepare()


def test_many_may_prepare_a_workspace_at_once(tmp_path: Path) -> None:
    errors: list[BaseException] = []

    def prepare() -> None:
        try:
            for _ in range(100):
                Workspace(tmp_path).prepare()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=prepare) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors


def _hold(folder: Path, held: Any, release: Any) -> None:
    with Workspace(folder).lock("abc"):
        held.set()
        release.wait(30)


def test_a_lock_holds_other_processes_off_and_ends_with_its_own(workspace: Workspace) -> None:
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(workspace.folder, held, release))
    holder.start()
    assert held.wait(30)
    taken = threading.Event()

    def take() -> None:
        with workspace.lock("abc"):
            taken.set()

    other = threading.Thread(target=take)
    other.start()
    with workspace.lock("abd"):
        assert not taken.wait(0.3)
    assert holder.pid is not None
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()
    other.join()
    assert taken.is_set()


def test_the_latest_run_is_found_by_its_word_too(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.prepare()
    for name in ("a", "b"):
        Run.begin(workspace, name, "job", {})
    assert workspace.run("latest").id == workspace.run().id
