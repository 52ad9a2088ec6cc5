"""The Prefect server of one run: there while the run is, gone with it however it ends, and never anybody else's."""

import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest

from kasasagi.blocks.processes import start_time
from kasasagi.flows.server import private_server as local_server
from kasasagi.flows.server.private_server import ServerError, prefect_server, stop_orphans
from tests.blocks.helpers import until

ROOT = Path(__file__).parents[2]
SLEEP = [sys.executable, "-c", "import time; time.sleep(120)"]


@pytest.fixture
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(SLEEP)
    yield process
    process.kill()
    process.wait()


def note(folder: Path, **facts: Any) -> Path:
    file = folder / f"server-{facts['pid']}.json"
    file.write_bytes(orjson.dumps(facts))
    return file


def test_an_orphan_is_stopped(tmp_path: Path, sleeper: "subprocess.Popen[bytes]") -> None:
    file = note(tmp_path, pid=sleeper.pid, started=start_time(sleeper.pid), owner=2**22 - 1, owner_started=0.0)
    assert stop_orphans(tmp_path) == 1
    assert sleeper.wait(10) == -signal.SIGKILL
    assert not file.exists()


def test_a_server_whose_run_goes_on_is_left_alone(tmp_path: Path, sleeper: "subprocess.Popen[bytes]") -> None:
    facts = {"owner": os.getpid(), "owner_started": start_time(os.getpid())}
    file = note(tmp_path, pid=sleeper.pid, started=start_time(sleeper.pid), **facts)
    assert stop_orphans(tmp_path) == 0
    assert sleeper.poll() is None
    assert file.exists()


def test_a_stranger_with_the_same_number_is_left_alone(tmp_path: Path, sleeper: "subprocess.Popen[bytes]") -> None:
    file = note(tmp_path, pid=sleeper.pid, started=start_time(sleeper.pid) - 500, owner=2**22 - 1, owner_started=0.0)
    assert stop_orphans(tmp_path) == 0
    assert sleeper.poll() is None
    assert not file.exists()


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"pid": "x"}', '{"pid": 5}', '{"pid": -1, "started": 0}'])
def test_a_torn_note_is_thrown_away(tmp_path: Path, text: str) -> None:
    (tmp_path / "server-1.json").write_text(text)
    assert stop_orphans(tmp_path) == 0
    assert not list(tmp_path.iterdir())


def test_a_server_that_was_named_is_used_and_left_running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    with prefect_server(tmp_path) as server:
        server.wait_until_ready()
        assert server.address == "http://127.0.0.1:9/api"
    assert os.environ["PREFECT_API_URL"] == "http://127.0.0.1:9/api"
    assert not list(tmp_path.iterdir())


def test_a_server_that_cannot_start_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setattr(local_server, "SERVER", "no.such.module")
    with (
        prefect_server(tmp_path) as server,
        pytest.raises(ServerError, match=r"ended at its start with code 1 \(.*no\b.*\); see .*server\.log"),
    ):
        server.wait_until_ready()
    assert "PREFECT_API_URL" not in os.environ
    assert not list(tmp_path.glob("server-*.json"))


RUN = """
import os, sys, time
from pathlib import Path
from kasasagi.flows.server.private_server import prefect_server
with prefect_server(Path(sys.argv[1])) as server:
    server.wait_until_ready()
    print(server.address, server._own._process.pid, flush=True)
    sys.stdin.readline()
print("left", flush=True)
"""


@pytest.mark.parametrize("end", ["well", "kill"])
def test_our_own_server_answers_and_ends_with_its_run(tmp_path: Path, used_home: Path, end: str) -> None:
    shutil.copytree(used_home, tmp_path / "home")
    environment = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    environment |= {"PYTHONPATH": str(ROOT / "src"), "PREFECT_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-c", RUN, str(tmp_path / "prefect")]
    run = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True)
    assert run.stdout is not None
    assert run.stdin is not None
    address, pid = run.stdout.readline().split()
    with urllib.request.urlopen(f"{address}/health", timeout=10) as answer:
        assert answer.status == 200
    if end == "kill":
        run.kill()
    else:
        run.stdin.write("\n")
        run.stdin.flush()
    run.communicate(timeout=60)
    until(lambda: not psutil.pid_exists(int(pid)) or psutil.Process(int(pid)).status() == psutil.STATUS_ZOMBIE)
    notes = list((tmp_path / "prefect").glob("server-*.json"))
    assert len(notes) == (1 if end == "kill" else 0)
    assert stop_orphans(tmp_path / "prefect") == 0
    assert not list((tmp_path / "prefect").glob("server-*.json"))


def test_a_server_does_not_start_for_a_parent_that_has_gone() -> None:
    command = [sys.executable, "-m", "kasasagi.flows.server.server_process", "1", str(local_server.free_port())]
    done = subprocess.run(command, capture_output=True, cwd=ROOT, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, b"", b"")


def test_a_first_start_that_another_run_does_not_finish_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_server, "STARTS_WITHIN_S", 0.1)
    with (
        local_server.FirstStart(tmp_path),
        pytest.raises(local_server.ServerError, match=r"another run has been starting .*PREFECT_HOME"),
    ):
        local_server.FirstStart(tmp_path).__enter__()
