"""A run's published files, tables and task runs stay as they are; a second run makes the same of what is cached."""

from dataclasses import dataclass
from typing import Any

import pytest

from tests.fake_server import FakeServer
from tests.golden import expected, job


@dataclass
class Ran:
    """What is visible of two runs of a job."""

    found: dict[str, Any]
    again: dict[str, Any]
    calls: list[int]


@pytest.fixture(scope="module")
def ran(server: FakeServer, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A job that ran twice."""
    recipe = job.write_job(tmp_path_factory.mktemp("job"), job.PROMPTS, server.base_url)
    before = server.stats()["calls"]
    first, then = job.seen(recipe), server.stats()["calls"]
    return Ran(first, job.seen(recipe), [then - before, server.stats()["calls"] - then])


def test_published_files_stay_as_they_are(ran: Ran) -> None:
    """Bytes of text files and rows of Parquet files; write them again with `python -m tests.golden.write run`."""
    assert ran.found["published"] == expected.read("run")["published"]


def test_tables_stay_as_they_are(ran: Ran) -> None:
    assert ran.found["tables"] == expected.read("run")["tables"]


def test_task_runs_have_their_names_and_states(ran: Ran) -> None:
    assert ran.found["task_runs"] == expected.read("run")["task_runs"]


def test_a_second_run_asks_nothing_and_publishes_the_same(ran: Ran) -> None:
    assert ran.calls == [expected.read("run")["calls"], 0]
    assert ran.again["published"] == ran.found["published"]
    chunks = [line for line in ran.found["task_runs"] if not line.startswith(("gate-", "publish"))]
    cached = [line.removesuffix(": Cached") for line in ran.again["task_runs"] if line.endswith(": Cached")]
    assert cached == [line.removesuffix(": Completed") for line in chunks]
    assert len(ran.again["task_runs"]) == len(ran.found["task_runs"])
