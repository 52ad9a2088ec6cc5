"""A private Prefect server that dies or hangs in the middle of a run: the run is what its own state says, and soon."""

import signal

import psutil
import pytest

from tests.e2e.command import until
from tests.e2e.conftest import NewJob
from tests.e2e.job import Job, sent

PROMPTS = 40


def lose_prefect(job: Job, number: int) -> None:
    """Send a signal to the Prefect server that a job's run has started for itself."""
    [server] = [one for one in psutil.process_iter(["cmdline"]) if _is_server_of(one, job)]
    server.send_signal(number)


def _is_server_of(process: psutil.Process, job: Job) -> bool:
    try:
        home = process.environ().get("PREFECT_HOME", "")
        return "kasasagi.flows.server.server_process" in process.cmdline() and home.startswith(str(job.folder))
    except psutil.Error:
        return False


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_run_whose_prefect_server_is_lost_publishes_and_ends_well(alone: NewJob, number: int) -> None:
    job = alone(first_token_s=0.3).prepare(PROMPTS)
    running = job.start()
    until(lambda: sent(job.server) > 0, "a first sample was sent")
    lose_prefect(job, number)
    ended = running.wait()
    assert ended.code == 0, ended.message
    assert len(job.published().splitlines()) > PROMPTS // 2
    assert "Prefect did not record the end of this run" in ended.err
    assert len(ended.err) < 2000, "no dump of what could not be sent"


@pytest.mark.slow
def test_a_gate_that_stops_a_run_is_said_without_prefect(alone: NewJob) -> None:
    never = {"stage": "respond", "expectation": "ExpectColumnValuesToBeInSet", "column": "refused", "value_set": [True]}
    job = alone(first_token_s=0.3).prepare(PROMPTS, gates={"expect": [never]})
    running = job.start()
    until(lambda: sent(job.server) > 0, "a first sample was sent")
    lose_prefect(job, signal.SIGKILL)
    assert "a gate stopped the run" in running.wait().failed(3)
    assert not job.out.exists()
