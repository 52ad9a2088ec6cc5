"""Write the expected values again: `python -m tests.golden.write`, or with the names of some of them.

Look at the difference before it is committed. A changed ledger key makes users pay again for what they have paid for. A
workspace that is written again is no longer one of an earlier version.
"""

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kasasagi.flows.runner import quiet_terminal
from kasasagi.flows.server.private_server import prefect_server
from tests.fake_server import FakeServer
from tests.golden import expected, job, workspace
from tests.golden.cases import CASES, PLANNED, SHIPPED, identities


def write_ledger_keys(folder: Path) -> None:
    """Write the ledger keys of all recipes, and the identities of the models of the shipped ones."""
    expected.write("ledger_keys", {case: expected.ledger_keys(case, folder) for case in CASES})
    expected.write("identities", {case: identities(case) for case in SHIPPED})


def write_cache_keys(folder: Path) -> None:
    """Write the cache keys of the chunks of all recipes."""
    expected.write("cache_keys", {case: expected.cache_keys(case, folder) for case in CASES})


def write_plans(folder: Path) -> None:
    """Write the plans of some recipes."""
    expected.write("plans", {case: expected.plans_of_ledgers(case, folder) for case in PLANNED})


def write_run(folder: Path) -> None:
    """Write what is visible of a run."""
    with _served(folder) as server:
        found = job.seen(job.write_job(folder / "run", job.PROMPTS, server.base_url))
        expected.write("run", {**found, "calls": server.stats()["calls"]})


def write_workspace(folder: Path) -> None:
    """Write a workspace, and what is expected of its run."""
    with _served(folder) as server:
        result = job.run(job.write_job(folder / "old", workspace.PROMPTS, server.base_url))
    workspace.pack(folder / "old")
    counts = {name: len(result.tables[name]) for name in ("calls", "pairs")}
    expected.write("workspace", {"run": result.run.id, **counts, "published": job.published(folder / "old" / "out")})


@contextmanager
def _served(folder: Path) -> Iterator[FakeServer]:
    with prefect_server(folder / "prefect") as prefect:
        prefect.wait_until_ready()
        with job.models_served(prefect.address) as server:
            yield server


WRITERS: dict[str, Callable[[Path], None]] = {
    "ledger_keys": write_ledger_keys,
    "cache_keys": write_cache_keys,
    "plans": write_plans,
    "run": write_run,
    "workspace": write_workspace,
}


def main() -> None:
    """Write the expected values that the command line names, else all of them."""
    parser = argparse.ArgumentParser(prog="python -m tests.golden.write", description=main.__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(WRITERS))
    quiet_terminal()
    names = parser.parse_args().names or list(WRITERS)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PREFECT_HOME"] = f"{folder}/prefect-home"
        for name in names:
            WRITERS[name](Path(folder))


if __name__ == "__main__":
    main()
