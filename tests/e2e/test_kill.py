"""kill -9: whatever the moment, the next run goes on, pays again for nothing that was kept, and publishes the same."""

import random
import signal
import time

import pytest

from tests.e2e.command import until
from tests.e2e.conftest import NewJob
from tests.e2e.job import CONCURRENCY, Job, processes_of, sent

SEED = 20260101
ANSWER_S = 0.2


def lost_by_kill(job: Job, before: tuple[int, int]) -> int:
    """How many samples a killed run sent without keeping the answer; before: sent and kept before that run."""
    until(lambda: processes_of(job.folder) == [], f"no process knows {job.folder}")
    until(lambda: job.server.stats()["in_flight"] == 0, "the server has noticed the kill")
    return (sent(job.server) - before[0]) - (job.kept() - before[1])


def killed_after(job: Job, samples: int) -> int:
    """Start a run, kill it when it has sent that many samples, and count what it lost."""
    before = sent(job.server), job.kept()
    running = job.start()
    until(lambda: sent(job.server) >= before[0] + samples, f"{samples} samples sent")
    running.signal(signal.SIGKILL)
    assert running.wait().code == -signal.SIGKILL
    return lost_by_kill(job, before)


def test_three_kills_cost_only_what_was_in_flight(new_job: NewJob, finished: Job) -> None:
    job = new_job(first_token_s=ANSWER_S).prepare(40)
    moments = random.Random(SEED)
    lost = [killed_after(job, moments.randint(3, 50)) for _ in range(3)]
    assert job.command("runs", "-w", job.workspace).succeeded().out.count("killed") == 3
    assert job.sql("select rows_out from stages where stage = 'load'") == [{"rows_out": 40}]
    assert "killed" in job.command("publish", "-w", job.workspace).failed(1)
    job.run().succeeded()
    assert all(0 <= one <= CONCURRENCY for one in lost), lost
    assert job.server.stats()["samples_begun_again"] == sum(lost)
    assert job.published() == finished.published()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_twenty_kills_at_random_moments(alone: NewJob) -> None:
    undisturbed = alone("undisturbed").prepare(300)
    undisturbed.run().succeeded()
    job = alone(first_token_s=0.3).prepare(300)
    rng = random.Random(SEED)
    span, losses = 30.0, []
    while len(losses) < 20:
        before, moment = (sent(job.server), job.kept()), rng.uniform(0.2, span)
        started, running = time.monotonic(), job.start()
        while not running.has_ended and time.monotonic() < started + moment:
            time.sleep(0.01)
        if running.has_ended:
            running.wait().succeeded()
            span = min(span, time.monotonic() - started)
            continue
        running.signal(signal.SIGKILL)
        running.wait()
        losses.append(lost_by_kill(job, before))
        print(f"killed after {moment:.2f} s: {sent(job.server) - before[0]} sent, {losses[-1]} lost")
    job.run().succeeded()
    assert all(0 <= one <= CONCURRENCY for one in losses), losses
    assert job.server.stats()["samples_begun_again"] == sum(losses)
    assert job.published() == undisturbed.published()
    assert processes_of(job.folder) == []
