"""Several commands in one workspace at the same time."""

import json
from typing import Any

import pytest

from tests.e2e.command import until
from tests.e2e.conftest import NewJob
from tests.e2e.job import Job, sent


def test_two_runs_of_one_recipe_pay_once_while_others_look(new_job: NewJob, finished: Job) -> None:
    job = new_job(first_token_s=0.25).prepare(40)
    runs = [job.start(), job.start()]
    until(lambda: sent(job.server) > 0, "the first sample was sent")
    looks = 0
    while not all(run.has_ended for run in runs):
        views = [("show", "-w", job.workspace), ("sql", "select count(*) from calls", "-w", job.workspace)]
        for ended in job.command.together(*views):
            ended.succeeded()
            looks += 1
    for run in runs:
        run.wait().succeeded()
    assert looks >= 4
    stats = job.server.stats()
    assert stats["samples_begun_again"] == 0
    assert stats["samples_begun"] == job.kept() == 160
    assert job.published() == finished.published()
    after = states(job)
    assert [state["status"] for state in after] == ["done", "done"]
    paid = [job.sql("select sum(calls_paid) as paid from stages", state["run"])[0]["paid"] for state in after]
    assert sum(paid) == 160


@pytest.mark.slow
def test_runs_over_some_and_over_all_rows_pay_once_for_what_they_share(new_job: NewJob) -> None:
    job = new_job(first_token_s=0.25).prepare(40)
    for run in [job.start("-n", "30"), job.start()]:
        run.wait().succeeded()
    stats = job.server.stats()
    assert stats["samples_begun_again"] == 0
    assert stats["samples_begun"] == job.kept() == 160


def states(job: Job) -> list[dict[str, Any]]:
    """What is written down of each run."""
    return [json.loads(file.read_text()) for file in job.workspace.glob("runs/*/run.json")]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("runs", [2, 4, 6])
def test_first_runs_of_a_new_workspace_and_prefect_home_all_succeed(alone: NewJob, runs: int) -> None:
    job = alone().prepare(5)
    started = [
        ("run", "recipe.yaml", "-w", job.workspace, "--set", f"publish.path={job.out}-{number}")
        for number in range(runs)
    ]
    for number, ended in enumerate(job.command.together(*started)):
        ended.succeeded()
        assert (job.folder / f"out-{number}" / "train.jsonl").exists()
