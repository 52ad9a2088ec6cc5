"""Ctrl-C and SIGTERM: a clean stop, what was paid for is kept, and the next run resumes."""

import signal

import pytest

from tests.e2e.command import until
from tests.e2e.conftest import NewJob
from tests.e2e.job import Job, processes_of, sent


def interrupted_after(job: Job, samples: int, number: signal.Signals) -> None:
    """Start a run, interrupt it when it has sent that many samples, and see that it stops cleanly and keeps all."""
    before = sent(job.server)
    running = job.start()
    until(lambda: sent(job.server) >= before + samples, f"{samples} samples sent")
    running.signal(number)
    sentence = running.wait(60).failed(130)
    assert "interrupted" in sentence
    assert job.kept() == sent(job.server), "what was in flight was waited for and kept"
    assert processes_of(job.folder) == []
    assert not job.out.exists()


def test_interrupted_runs_keep_what_they_paid_for(new_job: NewJob, finished: Job) -> None:
    job = new_job(first_token_s=0.3).prepare(40)
    interrupted_after(job, 30, signal.SIGINT)
    interrupted_after(job, 30, signal.SIGTERM)
    states = job.command("runs", "-w", job.workspace).succeeded().out
    assert states.count("stopped") == 2, states
    job.run().succeeded()
    assert job.server.stats()["samples_begun_again"] == 0
    assert job.published() == finished.published()


def test_a_second_interrupt_abandons_what_is_in_flight(new_job: NewJob) -> None:
    job = new_job(first_token_s=20.0).prepare(20)
    running = job.start()
    until(lambda: sent(job.server) > 0, "the first sample was sent")
    running.signal(signal.SIGINT)
    until(lambda: "in flight" in running.err, "it says that it waits")
    running.signal(signal.SIGINT)
    running.wait(15).failed(130)
    assert processes_of(job.folder) == []


@pytest.mark.slow
@pytest.mark.parametrize(("number", "ignores_ctrl_c"), [(signal.SIGINT, False), (signal.SIGTERM, True)])
def test_a_run_with_its_own_prefect_server_leaves_none_behind(
    alone: NewJob, number: signal.Signals, ignores_ctrl_c: bool
) -> None:
    job = alone(from_nothing=ignores_ctrl_c, first_token_s=0.3).prepare(40)
    job.command.ignores_ctrl_c = ignores_ctrl_c
    interrupted_after(job, 30, number)
    job.run().succeeded()
    assert processes_of(job.folder) == []
    assert job.server.stats()["samples_begun_again"] == 0
