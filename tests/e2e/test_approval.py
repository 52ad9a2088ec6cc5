"""A gate that pauses: a person looks, lets the rows pass, and the run continues without paying again."""

import re

from tests.e2e.conftest import NewJob
from tests.e2e.job import Job, sent_by_model

TOO_SHORT = {"stage": "respond", "expectation": "ExpectColumnValuesToBeBetween", "column": "characters"}


def pausing(job: Job, rows: int = 40) -> Job:
    """A job that pauses, since every answer ought to have a million characters."""
    gates = {"on_fail": "pause", "expect": [{**TOO_SHORT, "min_value": 1_000_000, "mostly": 0.5}]}
    return job.prepare(rows, gates=gates)


def test_a_run_waits_for_approval_and_goes_on_where_it_stopped(new_job: NewJob) -> None:
    job = pausing(new_job())
    sentence = job.run().failed(3)
    assert re.search(r"(kasasagi|-m flows\.cli) people approve \S+ -w ", sentence)
    assert not job.out.exists()
    sent_before = sent_by_model(job.server)
    assert "critic" not in sent_before, "the judge is not paid for what a person has not seen"

    shown = job.command("approve", "-w", job.workspace, "--yes").succeeded().out
    assert "characters" in shown
    assert any(row["content"][:20] in shown for row in job.sql("from responses"))

    again = job.run().failed(3)
    assert "all rows" in job.command("approve", "-w", job.workspace, "--yes").succeeded().out, again
    job.run().succeeded()
    assert (job.out / "train.jsonl").exists()
    gates = job.sql("from gates where severity = 'approved'")
    assert {row["scope"] for row in gates} == {"scout", "whole"}
    assert all("let pass by" in row["detail"] for row in gates)
    assert job.server.stats()["samples_begun_again"] == 0


def test_other_data_are_asked_about_again(new_job: NewJob) -> None:
    job = pausing(new_job())
    job.run().failed(3)
    job.command("approve", "-w", job.workspace, "--yes").succeeded()
    pausing(job, rows=60)
    assert re.search(r"(kasasagi|-m flows\.cli) people approve \S+ -w ", job.run().failed(3))


def test_what_needs_no_approval_says_so(new_job: NewJob, finished: Job) -> None:
    job = new_job().copy_of(finished)
    assert "nothing to approve" in job.command("approve", "-w", job.workspace).failed(1)
    strict = {**TOO_SHORT, "min_value": 1_000_000}
    job.write_recipe(gates={"expect": [strict]})
    job.run().failed(3)
    assert "on_fail=pause" in job.command("approve", "-w", job.workspace).failed(2)
