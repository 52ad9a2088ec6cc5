"""A scheduled run publishes only what is new, each time as a version of its own."""

import json

import pytest

from tests.e2e.conftest import NewJob
from tests.e2e.job import Job, prompt_rows, sent

pytestmark = pytest.mark.slow


def versions(job: Job) -> list[set[int]]:
    """The ids of the rows of each published version, in the order of the runs."""
    files = sorted((job.folder / "versions").glob("v-*/train.jsonl"))
    return [{json.loads(line)["id"] for line in file.read_text(encoding="utf-8").splitlines()} for file in files]


def test_only_new_rows_are_published_and_nothing_new_is_no_failure(new_job: NewJob) -> None:
    job = new_job().prepare(30, publish={"path": "versions/v"})
    job.run("--new-only").succeeded()
    first = versions(job)[0]
    assert first

    # The order in which runs lie is that of their ids, which begin with the second in which each began.
    job.write_prompts(prompt_rows(30)[::-1] + prompt_rows(20, start=30))
    job.run("--new-only").succeeded()
    found = versions(job)
    assert len(found) == 2
    new = next(one for one in found if one != first)
    assert new
    assert new & first == set()
    assert max(new) >= 30
    quarantined = job.sql("select reason, count(*) as n from quarantine where stage = 'filter' group by all order by 1")
    assert [tuple(row.values()) for row in quarantined] == [
        ("no_pair_before", 30 - len(first)),
        ("published_before", len(first)),
    ]

    calls = sent(job.server)
    job.write_prompts(prompt_rows(50)[::-1])
    ended = job.run("--new-only").succeeded()
    assert "nothing is new" in ended.err
    assert sent(job.server) == calls
    assert len(versions(job)) == 2


def test_a_dialogue_is_not_new_once_it_was_published_or_broke_off(new_job: NewJob) -> None:
    job = new_job(faults={"empty_content": 0.1}, fault_models=("small",))
    turns = {"count": 2, "model": "small", "template": "chatml"}
    job.prepare(20, source={"turns": turns}, publish={"path": "versions/v"}, gates={"on_fail": "warn"})
    job.run("--new-only").succeeded()
    assert len(versions(job)) == 1
    assert job.sql("select count(*) as n from quarantine where stage = 'converse'")[0]["n"]
    ended = job.run("--new-only").succeeded()
    assert "nothing is new" in ended.err
    assert len(versions(job)) == 1
