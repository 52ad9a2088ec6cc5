"""How busy a run keeps its model server: `python -m benchmarks.busy`.

A simulated server with 512 slots, 0.2 s to the first token and 10 ms for each of 100±30 tokens answers two responders
and a judge for 4,000 prompts, with everything on: ledger, DuckDB, gates, scout, Prefect. The share is busy slot seconds
over slots, between the first call and the last.
"""

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

from benchmarks.job import recipe_file, write_prompts
from tests.fake_server import FakeServer

SLOTS = 512


def main() -> None:
    """Run the job once and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=4_000)
    parser.add_argument("--orders", choices=["random", "both"], default="random")
    arguments = parser.parse_args()
    from kasasagi.flows.runner import run_recipe

    latency = {"slots": SLOTS, "first_token_s": 0.2, "per_token_s": 0.01, "tokens_mean": 100, "tokens_sd": 30}
    with (
        tempfile.TemporaryDirectory() as name,
        FakeServer(models=["small", "large", "critic"], record=0, **latency) as server,
    ):
        folder = Path(name)
        write_prompts(folder / "prompts.jsonl", arguments.prompts)
        recipe = recipe_file(folder, server.base_url, SLOTS, arguments.orders)
        started = time.monotonic()
        result = run_recipe(recipe, workspace=folder / "workspace")
        seconds = time.monotonic() - started
        stats = server.stats()
        again = time.monotonic()
        run_recipe(recipe, workspace=folder / "workspace")
        second = time.monotonic() - again
        calls_again = server.stats()["calls"] - stats["calls"]
        pairs = len(result.tables["pairs"])
    figures = {
        "prompts": arguments.prompts,
        "calls": stats["calls"],
        "busy share of the slots": round(stats["utilisation"], 4),
        "seconds between first and last call": round(stats["span_s"], 2),
        "seconds of the whole run": round(seconds, 2),
        "pairs": pairs,
        "calls of a second run": calls_again,
        "seconds of a second run": round(second, 2),
        "peak memory, MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
