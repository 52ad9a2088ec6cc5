"""How long planning takes against a large ledger: `python -m benchmarks.ledger`.

Ledgers of a tenth of the entries and of all of them are filled, and a stage of 100,000 requests is planned against
each, in a process of its own: every request's key is worked out, and looked up chunk by chunk as a run does it; half of
them are known. The page cache is as the filling left it. The CPU seconds at ten times the entries are extrapolated
from the growth between the two sizes.
"""

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from kasasagi.blocks.canonical import ledger_key
from kasasagi.blocks.ledger.store import Ledger, LedgerEntry
from kasasagi.blocks.models.llm import Completion

MODEL = "small"
IN_A_COMMIT = 5_000
IN_A_CHUNK = 400
WORDS = ("river", "stone", "winter", "answer", "market", "letter", "garden", "signal", "bridge", "window")


def request(number: int) -> dict[str, object]:
    """Return a request of a few hundred characters."""
    words = " ".join(random.Random(number).choices(WORDS, k=40))
    return {"messages": [{"role": "user", "content": f"{number}: {words}"}], "temperature": 0.8, "max_tokens": 512}


def fill(folder: Path, start: int, end: int) -> float:
    """Append entries of these numbers; the seconds that it took."""
    ledger, generator = Ledger(folder), random.Random(start)
    text = " ".join(generator.choices(WORDS, k=10_000))
    started = time.perf_counter()
    for first in range(start, end, IN_A_COMMIT):
        batch = []
        for number in range(first, min(end, first + IN_A_COMMIT)):
            place = number * 7_919 % 50_000
            reply = Completion(text=text[place : place + 600], finish_reason="stop", completion_tokens=120)
            batch.append(LedgerEntry(ledger_key(MODEL, request(number), 0), MODEL, reply))
        ledger.append(batch)
    ledger.close()
    return time.perf_counter() - started


def plan(folder: Path, entries: int, requests: int) -> dict[str, float]:
    """Look up requests of which every other one is known, a chunk at a time."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    numbers = random.Random(1).sample(range(entries), requests // 2)
    wanted = [number if place % 2 else -number - 1 for place, number in enumerate(x for x in numbers for _ in (0, 1))]
    ledger, known = Ledger(folder), 0
    started, spent = time.perf_counter(), time.process_time()
    for start in range(0, len(wanted), IN_A_CHUNK):
        keys = [ledger_key(MODEL, request(number), 0) for number in wanted[start : start + IN_A_CHUNK]]
        known += len(ledger.known(keys))
    seconds, cpu = time.perf_counter() - started, time.process_time() - spent
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "seconds": round(seconds, 2),
        "CPU seconds": round(cpu, 2),
        "known": known,
        "peak memory, MB": peak // 1024,
        "of it for planning, MB": (peak - before) // 1024,
    }


def measured(folder: Path, entries: int, requests: int) -> dict[str, float]:
    """Return the plan in a process of its own, so that memory is its own too."""
    command = [sys.executable, "-m", "benchmarks.ledger", "--plan", str(folder)]
    command += ["--entries", str(entries), "--requests", str(requests)]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def measure(entries: int, requests: int) -> dict[str, object]:
    """Fill and plan at both sizes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small = entries // 10
        seconds = fill(folder, 0, small)
        few = measured(folder, small, min(requests, small))
        seconds += fill(folder, small, entries)
        many = measured(folder, entries, requests)
        size = (folder / "ledger.sqlite").stat().st_size
    growth = max(1.0, many["CPU seconds"] / few["CPU seconds"]) if requests <= small else 1.0
    return {
        "entries": entries,
        "requests planned": requests,
        "size of the ledger, MB": size // 2**20,
        "entries appended a second": round(entries / seconds),
        f"planned against {small:,}": few,
        f"planned against {entries:,}": many,
        f"CPU seconds against {entries * 10:,}, extrapolated": round(many["CPU seconds"] * growth, 2),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--plan", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.plan:
        print(json.dumps(plan(arguments.plan, arguments.entries, arguments.requests)))
    else:
        print(json.dumps(measure(arguments.entries, arguments.requests), indent=2))


if __name__ == "__main__":
    main()
