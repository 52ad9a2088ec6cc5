"""Endurance: `python -m benchmarks.soak` asks a hostile server 100,000 prompts, three calls each, under ten kill -9.

A simulated server with 512 slots fails one request in ten, in every way that it knows: 429, 500, resets, bodies cut or
no JSON, silence, slowness; and answers that are too long, refused, empty or cut off. The run is killed ten times at
even distances and started again. At the end every account must close, no call that was acknowledged may have been
asked again, and memory must not have grown with the work: a twentieth of the job, run to its end beforehand, is what it
is held against. Exit code 1 where one of these does not hold.
"""

import argparse
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import yaml

from benchmarks.parts.job import recipe_file, write_prompts
from tests.fake_server import FakeServer

ROOT = Path(__file__).parents[1]
SLOTS = 512
CALLS_EACH = 3
TIMEOUT_S = 20.0
GROWTH = 1.35
KINDS = {
    "http_429": 0.17,
    "http_500": 0.17,
    "reset": 0.13,
    "cut_body": 0.13,
    "malformed_json": 0.13,
    "slow": 0.06,
    "hang": 0.01,
    "context_too_long": 0.05,
    "refusal": 0.05,
    "empty_content": 0.05,
    "truncated": 0.05,
}
"""The kinds of faults and their shares of all faults."""


def prepare(folder: Path, server: FakeServer, prompts: int) -> Path:
    """Return the prompts and the recipe; its gates only warn, since a hostile server is what is wanted."""
    folder.mkdir(parents=True, exist_ok=True)
    write_prompts(folder / "prompts.jsonl", prompts)
    file = recipe_file(folder, server.base_url, SLOTS)
    recipe = yaml.safe_load(file.read_text(encoding="utf-8"))
    recipe["gates"] = {"on_fail": "warn"}
    for model in recipe["models"].values():
        model["timeout_s"] = TIMEOUT_S
    file.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    return file


class Runs:
    """The runs of one job: started, watched, killed, and their memory noted second by second."""

    def __init__(self, folder: Path, recipe: Path) -> None:
        self.workspace = folder / "workspace"
        self.memory: list[list[int]] = []
        self._command = [sys.executable, "-m", "kasasagi.flows.cli.app", "run", str(recipe), "-w", str(self.workspace)]
        self._output = folder / "output.txt"

    def go(self, server: FakeServer, until_finished: int | None) -> int | None:
        """Run to the end, or until the server has finished that many samples; the exit code, None where killed."""
        with self._output.open("wb") as output:
            process = subprocess.Popen(
                self._command,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
                stdout=output,
                stderr=output,
            )
        self.memory.append([])
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            self.memory[-1].append(_resident(watched))
            if until_finished is not None and server.stats()["samples_finished"] >= until_finished:
                process.send_signal(signal.SIGKILL)
                process.wait()
                return None
            time.sleep(0.5)
        return process.returncode

    def output(self) -> str:
        """Return the last words of the latest run."""
        return self._output.read_text(encoding="utf-8", errors="replace")[-2_000:]

    def kept(self) -> int:
        """Return how many calls the ledger holds."""
        with sqlite3.connect(self.workspace / "ledger" / "ledger.sqlite") as connection:
            return int(connection.execute("SELECT count(*) FROM entries").fetchone()[0])


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def unkept(server: FakeServer, runs: Runs) -> int:
    """Return the calls that the server finished and the ledger lacks, once the server sees that the client is gone."""
    while server.stats()["in_flight"]:
        time.sleep(0.1)
    return int(server.stats()["samples_finished"]) - runs.kept()


def accounts_close(workspace: Path) -> tuple[bool, list[dict[str, Any]]]:
    """Return whether for every stage rows in are rows out plus rows quarantined, and the stages' accounts."""
    from kasasagi.blocks.workspace.runs import Workspace
    from kasasagi.tasks.tables.run_tables import open_tables

    with open_tables(Workspace(workspace).run()) as tables:
        stages = tables.sql("SELECT stage, rows_in, rows_out, quarantined FROM stages").to_arrow_table().to_pylist()
    return all(row["rows_in"] == row["rows_out"] + row["quarantined"] for row in stages), stages


def peaks(memory: Sequence[Sequence[int]]) -> list[int]:
    """Return the most bytes that each run had."""
    return [max(one, default=0) for one in memory]


def whole_small_job(folder: Path, server: FakeServer, prompts: int) -> int:
    """Return the peak of the same job with few prompts, run to its end without a kill; the server forgets it."""
    runs = Runs(folder, prepare(folder, server, prompts))
    expect(runs, runs.go(server, None), 0)
    server.reset_stats()
    return max(1, *peaks(runs.memory))


def expect(runs: Runs, code: int | None, wanted: int | None) -> None:
    """Stop the measurement if a run did not end as expected: by a kill (None) or with success (0)."""
    if code != wanted:
        raise SystemExit(f"run {len(runs.memory)} ended with {code} where {wanted} was expected:\n{runs.output()}")


def soak(prompts: int, share: float, kills: int) -> dict[str, Any]:
    """Run the whole job and return its figures."""
    faults = {kind: part * share for kind, part in KINDS.items()}
    latency = {"slots": SLOTS, "first_token_s": 0.1, "per_token_s": 0.005, "tokens_mean": 100, "tokens_sd": 30}
    started = time.monotonic()
    with (
        tempfile.TemporaryDirectory() as name,
        FakeServer(models=["small", "large", "critic"], record=0, faults=faults, **latency) as server,
    ):
        small = whole_small_job(Path(name) / "small", server, max(500, prompts // 20))
        runs = Runs(Path(name), prepare(Path(name), server, prompts))
        lost = []
        for kill in range(1, kills + 1):
            expect(runs, runs.go(server, CALLS_EACH * prompts * kill // (kills + 1)), None)
            lost.append(unkept(server, runs))
            print(f"killed {kill} times, {runs.kept():,} calls kept", file=sys.stderr, flush=True)
        expect(runs, runs.go(server, None), 0)
        stats, again = server.stats(), unkept(server, runs) - (lost[-1] if lost else 0)
        closed, stages = accounts_close(runs.workspace)
    grown = max(peaks(runs.memory)) / small
    steps = [after - before for before, after in zip([0, *lost], lost, strict=False)]
    return {
        "prompts": prompts,
        "calls answered": stats["samples_finished"],
        "faults met": dict(sorted(stats["faults"].items())),
        "kills": kills,
        "calls lost in flight by each kill": steps,
        "calls asked again that had been acknowledged": again,
        "accounts close": closed,
        "stages": {row["stage"]: [row["rows_in"], row["rows_out"], row["quarantined"]] for row in stages},
        "busy share of the slots while they were asked": round(stats["utilisation"], 3),
        "peak memory of each run, MB": [peak // 2**20 for peak in peaks(runs.memory)],
        "peak memory of a twentieth of the job, MB": small // 2**20,
        "peak memory of all runs against that": round(grown, 2),
        "seconds": round(time.monotonic() - started, 1),
        "holds": closed and again == 0 and all(0 <= step <= 2 * SLOTS for step in steps) and grown <= GROWTH,
    }


def main() -> None:
    """Measure, print, and say by the exit code whether everything held."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=100_000)
    parser.add_argument("--faults", type=float, default=0.1, help="share of the requests that meet a fault")
    parser.add_argument("--kills", type=int, default=10)
    arguments = parser.parse_args()
    figures = soak(arguments.prompts, arguments.faults, arguments.kills)
    print(json.dumps(figures, indent=2))
    sys.exit(0 if figures["holds"] else 1)


if __name__ == "__main__":
    main()
