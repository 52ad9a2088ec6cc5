"""What a run on a cluster takes of the flow's process, the workers, the server and the storage: `benchmarks.scale`.

Two Dask workers on this machine, whose model answers at once, make the three calls of each prompt of the throughput
job. What is measured is CPU and bytes for each call, from which docs/scale.md works out a run of 10 million prompts.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import yaml

from benchmarks import throughput
from benchmarks.parts.instant import InstantEngine
from benchmarks.parts.job import write_prompts
from kasasagi.blocks.destinations.remote_folder import Store
from kasasagi.blocks.engines import kinds
from kasasagi.blocks.workspace import chunks
from kasasagi.blocks.workspace.runs import Run, Workspace
from kasasagi.flows.run.options import Options

ROOT = Path(__file__).parents[1]
MODULE = [sys.executable, "-m", "dask"]


@contextmanager
def cluster(folder: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A scheduler and two workers of one thread each: the scheduler's address, and the workers."""
    known, quiet = folder / "scheduler.json", {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    where = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(known)]
    processes = [subprocess.Popen([*MODULE, "scheduler", *where], cwd=ROOT, **quiet)]  # type: ignore[call-overload]
    try:
        while not (known.exists() and known.read_text().endswith("}")):
            time.sleep(0.05)
        address = str(json.loads(known.read_text())["address"])
        preload = ["--preload", "benchmarks.parts.instant_worker", "--local-directory", str(folder)]
        words = ["worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard", *preload]
        processes += [subprocess.Popen([*MODULE, *words], cwd=ROOT, **quiet) for _ in range(2)]  # type: ignore[call-overload]
        yield address, processes[1:]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def counted(traffic: Counter[str]) -> None:
    """Count the bytes that this process writes to and reads from the shared storage."""
    write, read = Store.write_whole, Store.read

    def write_whole(store: Store, name: str, content: bytes) -> None:
        traffic["written"] += len(content)
        write(store, name, content)

    def read_whole(store: Store, name: str) -> bytes | None:
        content = read(store, name)
        traffic["segments"] += "/answers/" in name
        traffic["read"] += len(content or b"")
        return content

    Store.write_whole, Store.read = write_whole, read_whole  # type: ignore[method-assign]


def recipe_for(folder: Path, address: str, batch_calls: int) -> Path:
    """Return the throughput job on the cluster."""
    file = throughput.recipe_file(folder)
    recipe = yaml.safe_load(file.read_text(encoding="utf-8"))
    recipe["runtime"] = {"runner": "dask", "address": address, "batch_calls": batch_calls, "most_chunks": 4096}
    file.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    return file


def measure(prompts: int, batch_calls: int) -> dict[str, Any]:
    """Run the job and give CPU and bytes for each call."""
    from kasasagi.flows.runner import run_recipe

    engine = InstantEngine()
    kinds.bundled_engine = lambda model: engine
    traffic: Counter[str] = Counter()
    counted(traffic)
    with tempfile.TemporaryDirectory() as name, cluster(Path(name)) as (address, workers):
        folder = Path(name)
        write_prompts(folder / "prompts.jsonl", prompts)
        options = Options(Workspace(folder / "workspace"))
        result = run_recipe(recipe_for(folder, address, batch_calls), options=options)
        busy = sum(sum(psutil.Process(worker.pid).cpu_times()[:2]) for worker in workers)
        return figures(result.run, prompts, traffic, busy)


def figures(run: Run, prompts: int, traffic: Counter[str], workers: float) -> dict[str, Any]:
    """Return the measured figures, for each call where they grow with the calls."""
    here, state = resource.getrusage(resource.RUSAGE_SELF), run.state()
    server = resource.getrusage(resource.RUSAGE_CHILDREN)
    batches = (run.folder / "call_batches.jsonl").read_text(encoding="utf-8").splitlines()
    made = len([one for one in run.handles() if one.handle.stage == "respond"])
    calls = sum(json.loads(line)["answered"] for line in batches)
    folder = run.workspace.folder

    def bytes_of(*names: str) -> float:
        files = (file for one in names for file in (folder / one).rglob("*") if file.is_file())
        return round(sum(file.stat().st_size for file in files) / calls)

    return {
        "prompts": prompts,
        "calls": calls,
        "seconds": round((state.ended or 0) - state.started, 1),
        "chunks": made,
        "task runs": len(batches) + len(run.handles()),
        "call batches": len(batches),
        "segments": traffic["segments"],
        "CPU ms a call, flow": round(1000 * (here.ru_utime + here.ru_stime) / calls, 3),
        "CPU ms a call, workers": round(1000 * workers / calls, 3),
        "CPU ms a task run, server": round(
            1000 * (server.ru_utime + server.ru_stime) / (len(batches) + len(run.handles())), 1
        ),
        "peak memory of the flow, MB": here.ru_maxrss // 1024,
        "bytes a call, call batches": round(traffic["written"] / calls),
        "bytes a call, segments": round(traffic["read"] / calls),
        "bytes a call, ledger": bytes_of("ledger"),
        "bytes a call, shards": bytes_of("shards"),
        "bytes a call, runs": bytes_of("runs"),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=8_000)
    parser.add_argument("--batch-calls", type=int, default=256)
    parser.add_argument(
        "--chunk-rows", type=int, default=chunks.ROWS_IN_A_CHUNK, help="As large as those of more rows."
    )
    chosen = parser.parse_args()
    chunks.ROWS_IN_A_CHUNK = chosen.chunk_rows
    print(json.dumps(measure(chosen.prompts, chosen.batch_calls), indent=2))


if __name__ == "__main__":
    main()
