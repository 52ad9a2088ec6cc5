"""A Prefect server for one ad-hoc run: started when there is no other, and gone when the run is, however it ends."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import psutil

from blocks import quiet
from blocks.processes import lives
from flows.errors import KasasagiError

STARTS_WITHIN_S = 300.0
STOPS_WITHIN_S = 10.0
POLL_S = 0.1
LOG = "server.log"
SERVER = "prefect.server.api.server:create_app"


class ServerError(KasasagiError):
    """The Prefect server did not start."""


class Server:
    """A Prefect server that a run reports to; `process` is None where it is somebody else's."""

    def __init__(self, address: str, process: "subprocess.Popen[bytes] | None" = None, log: Path | None = None) -> None:
        self.address = address
        self._process = process
        self._log = log

    def wait_until_ready(self) -> None:
        """Wait for our own server to answer. Raises ServerError."""
        if self._process is not None and self._log is not None:
            _await(self._process, self.address, self._log)


@contextmanager
def prefect_server(folder: Path) -> Iterator[Server]:
    """The Prefect server that PREFECT_API_URL names, else one of our own for as long as this lasts.

    Our own is tied to this process, so that it ends even if this process is killed; where the system cannot tie it,
    the next run stops it. It writes its output to a file in that folder. It may not be ready yet.
    """
    if address := os.environ.get("PREFECT_API_URL"):
        yield Server(address)
        return
    stop_orphans(folder)
    process, address = _start(folder)
    os.environ["PREFECT_API_URL"] = address
    try:
        yield Server(address, process, folder / LOG)
    finally:
        del os.environ["PREFECT_API_URL"]
        _stop(process)
        _note(folder, process.pid).unlink(missing_ok=True)


def stop_orphans(folder: Path) -> int:
    """Stop servers whose run is gone; returns how many."""
    stopped = 0
    for note in folder.glob("server-*.json"):
        try:
            facts = orjson.loads(note.read_bytes())
            if lives(facts["pid"], facts["started"]):
                if lives(facts["owner"], facts["owner_started"]):
                    continue
                psutil.Process(facts["pid"]).kill()
                stopped += 1
        except (psutil.Error, OSError, ValueError, KeyError, TypeError):
            pass  # a torn note, or a server that has gone meanwhile
        note.unlink(missing_ok=True)
    return stopped


def _note(folder: Path, pid: int) -> Path:
    return folder / f"server-{pid}.json"


def _start(folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    environment = {
        **os.environ,
        **quiet.SWITCHES,
        "PREFECT_UI_ENABLED": "0",
        "PREFECT__SERVER_EPHEMERAL": "1",
        "PREFECT__SERVER_FINAL": "1",
    }
    arguments = [
        "--factory",
        SERVER,
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--log-level",
        "error",
        "--lifespan",
        "on",
    ]
    with (folder / LOG).open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "flows.tied_process", str(os.getpid()), sys.executable, "-m", "uvicorn", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**environment, "PYTHONPATH": os.pathsep.join(filter(None, [_root(), os.environ.get("PYTHONPATH")]))},
            start_new_session=True,
        )
    _write_note(folder, server.pid)
    return server, f"http://127.0.0.1:{port}/api"


def _root() -> str:
    return str(Path(__file__).resolve().parents[1])


def _write_note(folder: Path, pid: int) -> None:
    own = psutil.Process()
    facts = {"pid": pid, "started": time.time(), "owner": own.pid, "owner_started": own.create_time()}
    _note(folder, pid).write_bytes(orjson.dumps(facts))


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await(server: subprocess.Popen[bytes], address: str, log: Path) -> None:
    end = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < end:
        if server.poll() is not None:
            words = log.read_text(errors="replace").strip().splitlines()
            raise ServerError(
                f"the Prefect server ended at its start ({words[-1] if words else 'without a word'}); see {log}"
            )
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(POLL_S)
    _stop(server)
    raise ServerError(f"the Prefect server did not start within {STARTS_WITHIN_S:g} s; see {log}")


def _stop(server: subprocess.Popen[bytes]) -> None:
    server.send_signal(signal.SIGTERM)
    try:
        server.wait(STOPS_WITHIN_S)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
