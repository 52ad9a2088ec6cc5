"""Clusters of two workers on this machine, as a person starts them by hand; each worker can be killed."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.command import until
from tests.e2e.warm import ROOT


@dataclass
class LocalCluster:
    """A cluster: what a recipe says of it, and its workers."""

    runner: str
    address: str
    workers: list[subprocess.Popen[bytes]]

    def kill_a_worker(self) -> None:
        """As the machine's power cut does: kill -9."""
        self.workers[0].kill()
        self.workers[0].wait()


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
        yield LocalCluster("dask", address, workers)


def _joined(folder: Path) -> int:
    return (folder / "scheduler" / "said").read_text(errors="replace").count("Register worker")


@contextmanager
def _process(home: Path, words: list[str], environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process of a module of Python's, which is killed on leaving; what it says goes into its folder."""
    home.mkdir(parents=True)
    surroundings = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    with (home / "said").open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", *words], env=surroundings, cwd=home, stdout=said, stderr=subprocess.STDOUT
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
