"""Clusters of two workers on this machine, as a person starts them by hand; each worker can be killed."""

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.e2e.command import until
from tests.e2e.warm import ROOT


@dataclass
class LocalCluster:
    """A cluster: what a recipe says of it, its workers, and how many batches they have in work at once."""

    runner: str
    address: str
    workers: list[subprocess.Popen[bytes]]
    seats: int
    add_node: Callable[[], None] | None = None

    @property
    def is_whole(self) -> bool:
        """Whether both workers belong to it."""
        return len(self.workers) > 1

    def join(self) -> None:
        """Let the second worker join, unless it has done so."""
        if self.add_node is not None and not self.is_whole:
            self.add_node()

    def kill_a_worker(self) -> None:
        """As the machine's power cut does: kill -9 of all that belongs to it."""
        _kill(self.workers[-1])


@contextmanager
def dask_cluster(folder: Path, environment: Mapping[str, str]) -> Iterator[LocalCluster]:
    """A Dask scheduler and two workers of two threads each."""
    known = folder / "scheduler.json"
    common = ["--no-dashboard"]
    with ExitStack() as stack:

        def start(name: str, *words: str) -> subprocess.Popen[bytes]:
            return stack.enter_context(_process(folder / name, ["dask", *words, *common], environment))

        start("scheduler", "scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(known))
        until(lambda: known.exists() and known.read_text().endswith("}"), "the scheduler has an address")
        address = json.loads(known.read_text())["address"]
        options = ["--nthreads", "2", "--no-nanny", "--local-directory", str(folder)]
        workers = [start(f"worker-{number}", "worker", address, *options) for number in range(2)]
        until(lambda: _joined(folder) == len(workers), "the workers have joined")
        yield LocalCluster("dask", address, workers, 4)


@contextmanager
def ray_cluster(folder: Path, environment: Mapping[str, str]) -> Iterator[LocalCluster]:
    """Two nodes of Ray's of one CPU each, the second of which says that it has a GPU, and joins later.

    Each CPU is a process for each run, which imports everything.
    """
    quiet = {"RAY_worker_niceness": "0", "RAY_USAGE_STATS_ENABLED": "0", **environment}
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True)))

        def start(name: str, *words: str) -> subprocess.Popen[bytes]:
            common = ["--num-cpus", "1", "--disable-usage-stats", "--block"]
            command = ["ray.scripts.scripts", "start", *words, *common]
            return stack.enter_context(_process(folder / name, command, quiet))

        first = ["--head", "--port", "0", "--include-dashboard", "false", "--temp-dir", str(home)]
        nodes = [start("head", *first, "--ray-client-server-port", str(_free_port()))]
        known = home / "ray_current_cluster"
        until(lambda: known.exists() and ":" in known.read_text(), "the head has an address")
        address = known.read_text().strip()

        def add_node() -> None:
            nodes.append(start("node", "--address", address, "--num-gpus", "1"))
            until(
                lambda: "Ray runtime started" in (folder / "node" / "output").read_text(), "the second node has joined"
            )

        yield LocalCluster("ray", address, nodes, 2, add_node)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _joined(folder: Path) -> int:
    return (folder / "scheduler" / "output").read_text(errors="replace").count("Register worker")


@contextmanager
def _process(home: Path, words: list[str], environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process of a module of Python's, which is killed on leaving; what it says goes into its folder."""
    home.mkdir(parents=True)
    surroundings = {**os.environ, "PYTHONPATH": str(ROOT / "src"), **environment}
    with (home / "output").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *words], env=surroundings, cwd=home, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield process
    finally:
        _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it has started."""
    with suppress(psutil.NoSuchProcess):
        for child in psutil.Process(process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                child.kill()
    process.kill()
    process.wait()
