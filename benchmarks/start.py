"""How quickly commands start: `python -m benchmarks.start`.

Seconds from the command to the first call that a model's server sees, of 200 prompts, in a workspace where nothing ran
before; seconds of a preview on the bundled model; and CPU seconds of commands that only look. Each is the middle of
several tries. Prefect's folder is one that a server has started in before.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.busy import loop_seconds
from benchmarks.parts.job import recipe_file, write_prompts
from tests.fake_server import FakeServer

COMMAND = (sys.executable, "-m", "kasasagi.flows.cli")
LOOKS = (("--help",), ("show",), ("sql", "SELECT 1"), ("runs",))
POLL_S = 0.005
WITHIN_S = 120.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=5)
    tries = parser.parse_args().tries
    with (
        tempfile.TemporaryDirectory() as name,
        FakeServer(models=["small", "large", "critic"], record=0, slots=64) as server,
    ):
        folder = Path(name)
        environment = {**os.environ, "PREFECT_HOME": str(folder / "prefect"), "DO_NOT_TRACK": "1"}
        write_prompts(folder / "prompts.jsonl", 200)
        recipe = recipe_file(folder, server.base_url, 64)
        done(environment, folder / "first", "run", str(recipe))
        found = {
            "seconds to the first call": middle(
                tries, lambda n: first_call(environment, folder / f"{n}", recipe, server)
            ),
            "seconds of a preview on the bundled model": middle(
                tries, lambda n: preview(environment, folder / f"p{n}")
            ),
            "CPU seconds": {
                " ".join(look): middle(tries, lambda _, look=look: cpu(environment, folder / "first", look))
                for look in LOOKS
            },
        }
    print(json.dumps({**found, "seconds of a fixed Python loop": round(loop_seconds(), 2)}, indent=2))


def middle(tries: int, measured: Callable[[int], float]) -> float:
    """Return the middle of several measurements."""
    return round(statistics.median(measured(number) for number in range(tries)), 2)


def first_call(environment: Mapping[str, str], workspace: Path, recipe: Path, server: FakeServer) -> float:
    """Return the seconds from the command to the first call of its run, which is stopped then."""
    server.reset_stats()
    started = time.monotonic()
    run = subprocess.Popen(
        [*COMMAND, "run", str(recipe), "--workspace", str(workspace)], env=environment, stderr=subprocess.DEVNULL
    )
    while not server.stats()["calls"]:
        if run.poll() is not None or time.monotonic() - started > WITHIN_S:
            raise RuntimeError("the run made no call")
        time.sleep(POLL_S)
    seconds = time.monotonic() - started
    run.terminate()
    run.wait()
    return seconds


def preview(environment: Mapping[str, str], workspace: Path) -> float:
    """Return the seconds of a preview of the quickstart."""
    started = time.monotonic()
    done(environment, workspace, "preview", "quickstart")
    return time.monotonic() - started


def cpu(environment: Mapping[str, str], workspace: Path, look: Sequence[str]) -> float:
    """Return the CPU seconds of a command that looks at the workspace."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done(environment, workspace, *look)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def done(environment: Mapping[str, str], workspace: Path, *arguments: str) -> None:
    """Do a command to its end."""
    home = {**environment, "KASASAGI_WORKSPACE": str(workspace)}
    subprocess.run([*COMMAND, *arguments], env=home, check=True, capture_output=True)


if __name__ == "__main__":
    main()
