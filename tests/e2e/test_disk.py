"""A workspace that cannot be written, or only so far: the run ends before anything more is paid for."""

import pytest

from tests.e2e.conftest import NewJob
from tests.e2e.job import LOSABLE, Job, sent


@pytest.mark.parametrize("place", ["ws", "ws/ledger", "ws/runs"])
def test_a_workspace_that_cannot_be_made_costs_nothing(new_job: NewJob, place: str) -> None:
    job = new_job().prepare(5)
    obstacle = job.folder / place
    obstacle.parent.mkdir(exist_ok=True)
    obstacle.write_text("a file stands where a folder should be")
    sentence = job.run().failed(1)
    assert str(job.workspace) in sentence
    assert sent(job.server) == 0


def test_a_ledger_that_cannot_be_written_ends_the_run_before_a_call(new_job: NewJob) -> None:
    job = new_job().prepare(5)
    (job.workspace / "ledger").mkdir(parents=True)
    (job.workspace / "ledger" / "ledger.sqlite").mkdir()
    assert "ledger.sqlite" in job.run().failed(1)
    assert sent(job.server) == 0


def test_a_full_disk_ends_the_run_and_room_lets_it_go_on(new_job: NewJob, finished: Job) -> None:
    # Half of the answers take longer, so that some are always on their way: no commit holds all that was sent.
    job = new_job(first_token_s=0.1, slow_s=0.3, faults={"slow": 0.5}).prepare(40)
    sentence = job.run(file_bytes=200_000).failed(1)
    assert "ledger" in sentence
    assert "make room" in sentence
    unkept = sent(job.server) - job.kept()
    assert 0 < unkept <= LOSABLE
    assert job.kept() < 160
    assert not job.out.exists()
    job.run().succeeded()
    assert job.server.stats()["samples_begun_again"] == unkept
    assert job.published() == finished.published()
