"""A Prefect server for one ad-hoc run: started when there is no other, and gone when the run is, however it ends."""

import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import orjson
import psutil
from filelock import FileLock, Timeout

import kasasagi
from kasasagi.blocks import telemetry
from kasasagi.blocks.processes import is_alive, start_time
from kasasagi.flows.errors import KasasagiError

STARTS_WITHIN_S = 300.0
STOPS_WITHIN_S = 5.0
POLL_S = 0.1
ROOM_NEEDED = 4 << 20
LOG = "server.log"
DATABASE = "prefect.db"
SERVER = "kasasagi.flows.server.server_process"
ERROR_LINE = re.compile(r"^(?:[A-Za-z_][\w.]*(?:Error|Exception|Exit|Interrupt)\b|(?:ERROR|CRITICAL)\b)")


class ServerError(KasasagiError):
    """The Prefect server did not start."""


class Server:
    """A Prefect server that a run reports to; `own` is None for a server that this run did not start."""

    def __init__(self, address: str, own: "OwnServer | None" = None) -> None:
        self.address = address
        self._own = own

    def wait_until_ready(self) -> None:
        """Wait for our own server to answer. Raises ServerError."""
        if self._own is not None:
            self._own.wait_until_ready()

    def kill(self) -> None:
        """End our own server at once, since it no longer answers."""
        if self._own is not None:
            self._own.kill()


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
    with FirstStart(_prefect_home()) as first_start:
        own = OwnServer(folder, first_start)
        os.environ["PREFECT_API_URL"] = own.address
        try:
            yield Server(own.address, own)
        finally:
            del os.environ["PREFECT_API_URL"]
            own.stop()


def _prefect_home() -> Path:
    """Prefect's folder, without the import of Prefect, which takes a second."""
    return Path(os.environ.get("PREFECT_HOME") or "~/.prefect").expanduser()


class FirstStart:
    """A lock on Prefect's folder while no server has started there, since several cannot create its database at once.

    Held from the beginning, where the database is new or of another version, until `ready`.
    """

    def __init__(self, home: Path) -> None:
        self._mark = home / f"kasasagi-started-{version('prefect')}"
        self._lock = FileLock(home / "kasasagi-starting.lock", thread_local=False)
        self._is_new = not (self._mark.exists() and (home / DATABASE).exists())

    def __enter__(self) -> "FirstStart":
        if self._is_new:
            self._mark.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._lock.acquire(timeout=STARTS_WITHIN_S)
            except Timeout as error:
                raise ServerError(
                    f"{self._mark.parent}: another run has been starting Prefect's first server there for "
                    f"{STARTS_WITHIN_S:.0f} s; end that run, or set PREFECT_HOME to another folder"
                ) from error
        return self

    def ready(self) -> None:
        """Note that a server has started, and let others start theirs."""
        if self._is_new:
            self._mark.touch()
        self._lock.release()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


class OwnServer:
    """The server process of one run, with its log; both are gone when it is stopped, the log only if all went well."""

    def __init__(self, folder: Path, first_start: FirstStart) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._first_start = first_start
        self._log = folder / f"server-{os.getpid()}-{secrets.token_hex(3)}.log"
        self._process, self.address = _start(folder, self._log)

    def wait_until_ready(self) -> None:
        """Wait until the server answers. Raises ServerError."""
        try:
            _await(self._process, self.address, self._log)
        except ServerError:
            self._log = self._log.rename(self._folder / LOG)
            raise
        self._first_start.ready()

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()

    def stop(self) -> None:
        """End the process and remove what it left."""
        _stop(self._process)
        _note(self._folder, self._process.pid).unlink(missing_ok=True)
        if self._log.name != LOG:
            self._log.unlink(missing_ok=True)


def stop_orphans(folder: Path) -> int:
    """Stop servers whose run is gone; returns how many."""
    stopped = 0
    for note in folder.glob("server-*.json"):
        try:
            facts = orjson.loads(note.read_bytes())
            if is_alive(facts["pid"], facts["started"]):
                if is_alive(facts["owner"], facts["owner_started"]):
                    continue
                psutil.Process(facts["pid"]).kill()
                stopped += 1
        except (psutil.Error, OSError, ValueError, KeyError, TypeError):
            pass  # a torn note, or a server that has gone meanwhile
        note.unlink(missing_ok=True)
    return stopped


def _note(folder: Path, pid: int) -> Path:
    return folder / f"server-{pid}.json"


def _start(folder: Path, log: Path) -> tuple[subprocess.Popen[bytes], str]:
    port = free_port()
    environment = {
        **os.environ,
        **telemetry.SWITCHES,
        "PREFECT_UI_ENABLED": "0",
        "PREFECT__SERVER_EPHEMERAL": "1",
        "PREFECT__SERVER_FINAL": "1",
    }
    with log.open("wb") as output:
        server = subprocess.Popen(
            # -P: a module in the current folder, such as the user's own uvicorn.py, must not take a library's place.
            [sys.executable, "-P", "-m", SERVER, str(os.getpid()), str(port)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={
                **environment,
                "PYTHONPATH": os.pathsep.join(filter(None, [_import_path(), os.environ.get("PYTHONPATH")])),
            },
            start_new_session=True,
        )
    _write_note(folder, server.pid)
    return server, f"http://127.0.0.1:{port}/api"


def _import_path() -> str:
    """Return the folder that this process imports kasasagi from: `src` in a checkout, else site-packages."""
    return str(Path(kasasagi.__file__).resolve().parents[1])


def _write_note(folder: Path, pid: int) -> None:
    facts = {"pid": pid, "started": start_time(pid), "owner": os.getpid(), "owner_started": start_time()}
    _note(folder, pid).write_bytes(orjson.dumps(facts))


def free_port() -> int:
    """Return a free port of this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await(server: subprocess.Popen[bytes], address: str, log: Path) -> None:
    end = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < end:
        if server.poll() is not None:
            raise ServerError(
                f"the Prefect server ended at its start with code {server.returncode} ({_last_words(log)}); "
                f"see {log.with_name(LOG)} and run again"
            )
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(POLL_S)
    _stop(server)
    raise ServerError(
        f"the Prefect server at {address} did not answer within {STARTS_WITHIN_S:g} s ({_last_words(log)}); "
        f"see {log.with_name(LOG)}"
    )


def _last_words(log: Path) -> str:
    """Return what kept a server from starting: a full disk, else the last line of its log that names an error, or the
    last.
    """
    home = _prefect_home()
    if home.is_dir() and (free := shutil.disk_usage(home).free) < ROOM_NEEDED:
        return f"the disk that holds {home} has {free >> 20} MB left: make room, or set PREFECT_HOME to another folder"
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if ERROR_LINE.match(line)]
    return (errors or lines or ["it has written nothing"])[-1]


def _stop(server: subprocess.Popen[bytes]) -> None:
    server.send_signal(signal.SIGTERM)
    try:
        server.wait(STOPS_WITHIN_S)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
