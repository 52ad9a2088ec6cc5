"""How busy a run keeps its model server, beside bare loops: `python -m benchmarks.busy`.

A simulated server with 512 slots, 0.2 s to the first token and 10 ms for each of 100±30 tokens answers two responders
and a judge for 4,000 prompts: first to a bare loop on the openai client, then to one on aiohttp, then to kasasagi with
everything on (ledger, DuckDB, gates, scout, Prefect), and to kasasagi again, which makes no call. Each has a process of
its own. The share is busy slot seconds over slots, between the first call and the last; calls a second are counted over
the same time. `--slots 2048 --tokens 20` is a server so fast that the client is the limit.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.parts.job import recipe_file, write_prompts
from tests.fake_server import FakeServer

CLIENTS = ("openai", "aiohttp", "kasasagi", "kasasagi again")
SPEED_LOOPS = 10_000_000


def main() -> None:
    """Run the job with each client in turn and print the figures and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=4_000)
    parser.add_argument("--slots", type=int, default=512)
    parser.add_argument("--tokens", type=int, default=100, help="tokens of an answer, on average")
    parser.add_argument("--orders", choices=["random", "both"], default="random")
    arguments = parser.parse_args()
    mean, slots = arguments.tokens, arguments.slots
    latency = {"first_token_s": 0.2, "per_token_s": 0.01, "tokens_mean": mean, "tokens_sd": 0.3 * mean}
    with (
        tempfile.TemporaryDirectory() as name,
        FakeServer(models=["small", "large", "critic"], record=0, slots=slots, **latency) as server,
    ):
        job = write_job(Path(name), server, arguments)
        measured = {client: measure(client, job, server) for client in CLIENTS}
    measured["ratios"] = ratios(measured)
    measured["machine"] = {"seconds of a fixed Python loop": round(loop_seconds(), 2)}
    print(json.dumps(measured, indent=2))


def write_job(folder: Path, server: FakeServer, arguments: argparse.Namespace) -> Path:
    """Write prompts, recipe and job into a folder; return the job's file."""
    write_prompts(folder / "prompts.jsonl", arguments.prompts)
    job = {
        "prompts": str(folder / "prompts.jsonl"),
        "recipe": str(recipe_file(folder, server.base_url, arguments.slots, arguments.orders)),
        "workspace": str(folder / "workspace"),
        "base_url": server.base_url,
        "slots": arguments.slots,
    }
    file = folder / "job.json"
    file.write_text(json.dumps(job), encoding="utf-8")
    return file


def measure(client: str, job: Path, server: FakeServer) -> dict[str, Any]:
    """Do the job with one client; return what the server saw and what the client's process used."""
    server.reset_stats()
    command = [sys.executable, "-m", "benchmarks.parts.busy_worker", client.split(maxsplit=1)[0], str(job)]
    started = time.monotonic()
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    seconds, used, stats = time.monotonic() - started, json.loads(done.stdout.splitlines()[-1]), server.stats()
    return {
        "calls": stats["calls"],
        "busy share of the slots": round(stats["utilisation"] or 0.0, 3),
        "calls a second": round(stats["calls"] / stats["span_s"]) if stats["span_s"] else 0,
        "seconds": round(seconds, 1),
        "CPU seconds": round(used["cpu_s"], 1),
        "CPU seconds, with the processes it started": round(used["cpu_with_children_s"], 1),
        "peak memory, MB": used["peak_mb"],
    }


def ratios(measured: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Return kasasagi's figures over those of the loops; CPU per call is that of the first run less the second's."""
    ours, openai, aiohttp = measured["kasasagi"], measured["openai"], measured["aiohttp"]
    cpu = (ours["CPU seconds"] - measured["kasasagi again"]["CPU seconds"]) / ours["calls"]
    return {
        "busy, over the openai loop": ours["busy share of the slots"] / openai["busy share of the slots"],
        "busy, over the aiohttp loop": ours["busy share of the slots"] / aiohttp["busy share of the slots"],
        "calls a second, over the openai loop": ours["calls a second"] / openai["calls a second"],
        "CPU per call, over the openai loop": cpu / (openai["CPU seconds"] / openai["calls"]),
    }


def loop_seconds() -> float:
    """Return the CPU seconds of a fixed pure-Python loop, by which readers can scale the other figures."""
    started, total = time.process_time(), 0
    for number in range(SPEED_LOOPS):
        total += number
    return time.process_time() - started


if __name__ == "__main__":
    main()
