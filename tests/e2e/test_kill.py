"""kill -9: whatever the moment, the next run resumes, pays again for nothing that was kept, and publishes the same."""

import random
import re
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from tests.e2e.command import until
from tests.e2e.conftest import NewJob
from tests.e2e.job import LOSABLE, Job, processes_of, sent

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
    assert all(0 <= one <= LOSABLE for one in lost), lost
    assert job.server.stats()["samples_begun_again"] == sum(lost)
    assert job.published() == finished.published()


def test_a_target_of_pairs_survives_kills_and_a_higher_one_only_adds(new_job: NewJob) -> None:
    job = new_job(first_token_s=ANSWER_S / 4).prepare(300, pairs={"target": 30})
    lost = [killed_after(job, samples) for samples in (40, 150)]
    assert all(0 <= one <= LOSABLE for one in lost), lost
    job.run().succeeded()
    few = job.published().splitlines()
    assert len(few) == 30
    assert job.server.stats()["samples_begun_again"] == sum(lost)
    before = sent(job.server)
    output = job.run("--set", "pairs.target=60").succeeded().out
    more = job.published().splitlines()
    assert len(more) == 60
    assert set(few) < set(more)
    assert before < sent(job.server) < 300 * 4, "prompts that the pairs do not need are not asked"
    assert job.server.stats()["samples_begun_again"] == sum(lost)
    assert "only" not in output
    job.command("pair", "--set", "pairs.target=30", "-w", job.workspace).succeeded()
    assert job.sql("select count(*) as pairs from pairs") == [{"pairs": 30}]
    quarter = "pairs.where={other_quarter: \"prompt_id < '4'\"}"
    fewer = job.command("pair", "--set", quarter, "-w", job.workspace).succeeded().out
    assert re.search(r"only \d+ of 30 pairs were made: all \d+ answered prompts are used; run the recipe for", fewer)
    job.command("pair", "-w", job.workspace).succeeded()
    slower = {name: {"max_concurrency": 3} for name in ("small", "large", "critic")}
    other = new_job("other").prepare(300, pairs={"target": 60}, models=slower)
    other.run().succeeded()
    assert other.published().splitlines() == more
    plan = other.command("plan", "recipe.yaml", "-w", other.workspace).succeeded().out
    assert "up to" not in plan


def test_a_killed_run_takes_its_own_prefect_server_along(alone: NewJob) -> None:
    job = alone(first_token_s=5.0).prepare(20)
    running = job.start()
    until(lambda: sent(job.server) > 0, "a first sample was sent")
    assert len(processes_of(job.folder)) == 2, "the command and its Prefect server"
    running.signal(signal.SIGKILL)
    running.wait()
    until(lambda: processes_of(job.folder) == [], f"no process knows {job.folder}")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_twenty_kills_at_random_moments(new_job: NewJob, used_home: Path) -> None:
    """Every fifth run that is killed has a Prefect server of its own."""
    undisturbed = new_job("undisturbed").prepare(300)
    undisturbed.run().succeeded()
    job = new_job(first_token_s=0.4).prepare(300)
    shutil.copytree(used_home, job.folder / "prefect-home")
    rng = random.Random(SEED)
    losses: list[int] = []
    while len(losses) < 20:
        before = sent(job.server), job.kept()
        with own_prefect(job) if len(losses) % 5 == 0 else nullcontext():
            moment = killed_at_random(job, rng)
        if moment is not None:
            losses.append(lost_by_kill(job, before))
            print(f"killed {moment}: {sent(job.server) - before[0]} sent, {losses[-1]} lost")
    job.run().succeeded()
    assert all(0 <= one <= LOSABLE for one in losses), losses
    assert job.server.stats()["samples_begun_again"] == sum(losses)
    assert job.published() == undisturbed.published()
    assert processes_of(job.folder) == []


@contextmanager
def own_prefect(job: Job) -> Iterator[None]:
    """Let the job's commands start a Prefect server of their own."""
    shared = dict(job.command.environment)
    job.command.environment["PREFECT_HOME"] = str(job.folder / "prefect-home")
    del job.command.environment["PREFECT_API_URL"]
    yield
    job.command.environment.update(shared)


def killed_at_random(job: Job, rng: random.Random) -> str | None:
    """Start a run and kill it at some moment of its start, or while it asks; None where it ended before that."""
    asking, wait_s = rng.random() < 0.7, rng.uniform(0.0, 3.0)
    before, running = sent(job.server), job.start()
    if asking:
        until(lambda: running.has_ended or sent(job.server) > before, "a first sample was sent")
    end = time.monotonic() + wait_s
    while not running.has_ended and time.monotonic() < end:
        time.sleep(0.01)
    if running.has_ended:
        running.wait().succeeded()
        return None
    running.signal(signal.SIGKILL)
    running.wait()
    return f"{wait_s:.2f} s after its {'first sample' if asking else 'start'}"


def test_a_run_that_was_killed_while_its_batches_waited_takes_them_up(new_job: NewJob, finished: Job) -> None:
    job = new_job(batch_s=3600)
    settings = {"gather_s": 0.2, "poll_s": 0.1}
    job.prepare(40, models={name: {"batch": settings} for name in ("small", "large", "critic")})
    running = job.start()
    until(lambda: job.server.stats()["batches"].get("in_progress") == 2, "a batch of each responder waits")
    until(lambda: ids_written_down(job) == 2, "both ids are written down")
    running.signal(signal.SIGKILL)
    running.wait()
    job.server.configure(batch_s=0)
    job.run().succeeded()
    stats = job.server.stats()
    assert stats["batches"]["completed"] == 3
    assert (stats["samples_begun_again"], stats["calls"]) == (0, 0)
    assert job.published() == finished.published()


def ids_written_down(job: Job) -> int:
    """Return the number of batches whose id on the server is stored."""
    return sum(b'"batch_id":"' in file.read_bytes() for file in job.workspace.glob("ledger/batches/*.json"))
