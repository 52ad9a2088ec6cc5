"""The optional stages between the filter and the responders, end to end: accounts close, and nothing is paid twice."""

from typing import Any

import pytest

from tests.e2e.conftest import NewJob
from tests.e2e.job import Job, begun, sent

pytestmark = pytest.mark.slow

PROMPTS = 24
STAGES: dict[str, Any] = {
    "tags": {"model": "critic"},
    "semantic": {"model": "critic", "duplicates": 0.9999},
    "select": {"per": "category", "limit": 2, "order_by": "difficulty desc"},
    "rewrite": {"model": "critic", "methods": ["paraphrase", "broader"]},
    "filter": {
        "where": {
            "no_poor": "quality <> 'poor'",
            "apart": "neighbor_distance > 0",
            "long": "length(instruction) > 3",
        }
    },
}


def accounts(job: Job) -> dict[str, dict[str, int]]:
    rows = job.sql("SELECT stage, rows_in, rows_out, quarantined, calls_paid, calls_reused FROM stages")
    return {row.pop("stage"): row for row in rows}


def refined(new_job: NewJob) -> Job:
    job = new_job(labeller_unreadable=0.15)
    job.prepare(PROMPTS, **STAGES).run().succeeded()
    return job


def test_tags_quotas_and_rewrites_reach_the_dataset_and_are_paid_for_once(new_job: NewJob) -> None:
    job = refined(new_job)
    found = accounts(job)
    assert list(found)[1:6] == ["filter", "tags", "semantic", "select", "rewrite"]
    assert all(one["rows_in"] == one["rows_out"] + one["quarantined"] for one in found.values())
    prompts = job.sql("SELECT prompt_id, category, quality, neighbor_distance, origin_id, rewrite FROM prompts")
    originals = {row["prompt_id"]: row for row in prompts if row["origin_id"] is None}
    rewrites = [row for row in prompts if row["origin_id"] is not None]
    assert len(prompts) == found["select"]["rows_out"]
    assert rewrites
    assert {row["origin_id"] for row in rewrites} <= set(originals)
    assert {row["rewrite"] for row in rewrites} == {"paraphrase", "broader"}
    assert "poor" not in {row["quality"] for row in prompts}
    counts = [row["category"] for row in originals.values()]
    assert max(map(counts.count, counts)) == 2
    again = {row["reason"] for row in job.sql("SELECT reason FROM quarantine WHERE stage IN ('tags', 'select')")}
    assert {"no_poor", "quota"} <= again
    (published,) = job.sql("SELECT count(*) AS n FROM pairs WHERE category IS NOT NULL")
    assert published["n"] == len(job.published().splitlines())
    before, rows = sent(job.server), job.published()
    assert set(begun(job.server).values()) == {1}
    job.run().succeeded()
    assert (sent(job.server), job.published()) == (before, rows)
    assert all(one["calls_paid"] == 0 for one in accounts(job).values())


def test_tags_that_cannot_be_read_stop_the_run_at_the_scout(new_job: NewJob) -> None:
    job = new_job(labeller_unreadable=0.7).prepare(1000, tags={"model": "critic"})
    sentence = job.run().failed(3)
    assert "tags: replies that cannot be read: " in sentence
    assert not job.out.exists()
    assert [(row["stage"], row["scope"]) for row in job.sql("from gates where not success")] == [("tags", "scout")]
    assert sent(job.server) < 2000 * 0.6, "no more than the scout and a bounded send-ahead"


def test_a_plan_counts_the_stages_as_far_as_they_are_known_and_asks_nobody(new_job: NewJob) -> None:
    job = new_job()
    job.prepare(PROMPTS, **STAGES)
    first = job.command("plan", "recipe.yaml", "-w", job.workspace).succeeded().out.splitlines()
    stages = {line.split()[0]: line.split()[1:4] for line in first[2:] if line.strip()}
    assert stages["tags"] == ["up", "to", "72"]
    assert stages["rewrite"] == ["up", "to", "48"]
    assert sent(job.server) == 0
