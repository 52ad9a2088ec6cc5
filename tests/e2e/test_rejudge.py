"""`kasasagi dataset rejudge`: an existing preference dataset is rated, its labels are audited, and pairs rebuilt."""

import json
import re
from typing import Any

import pytest

from tests.e2e.conftest import NewJob
from tests.e2e.job import Job, sent_by_model
from tests.e2e.test_commands import planned
from tests.fake_server.judge import text_rating

pytestmark = pytest.mark.slow

ROWS = 30


def labelled(job: Job, **changes: Any) -> list[dict[str, str]]:
    """The rows of a preference dataset, written as the job's source; changes are laid over its recipe."""
    rows = [
        {"prompt": f"What is {n}?", "chosen": f"It is {n}, I think.", "rejected": f"Number {n} it is."}
        for n in range(ROWS)
    ]
    job.prepare(1).write_prompts(rows)
    recipe = {name: value for name, value in job.recipe.items() if name != "respond"}
    source = {"kind": "dataset", "path": "prompts.jsonl", "responses": {"chosen": "chosen", "rejected": "rejected"}}
    job.write_plain({**recipe, "source": source, **changes})
    return rows


def test_a_dataset_is_audited_and_paired_again(new_job: NewJob) -> None:
    job = new_job()
    rows = labelled(job)
    plan = planned(job.command("plan", "recipe.yaml", "-w", job.workspace))
    assert plan == {"judge": [str(2 * ROWS), "0", str(2 * ROWS)]}
    output = job.command("rejudge", "recipe.yaml", "-w", job.workspace).succeeded().out
    ratings = [(text_rating(row["chosen"]), text_rating(row["rejected"])) for row in rows]
    agree, disagree = (sum(a > b for a, b in some) for some in (ratings, [(b, a) for a, b in ratings]))
    assert agree
    assert disagree
    assert f"{ROWS} labels: {agree} agree, {disagree} disagree, {ROWS - agree - disagree} ties, 0 unrated." in output
    assert f"disagree with {disagree / (agree + disagree):.1%} (" in output
    assert re.search(r"(kasasagi|-m flows\.cli) trace \S+ \S+ -w ", output)
    assert sent_by_model(job.server) == {"critic": 2 * ROWS}
    [counts] = job.sql("select count(*) as pairs, count(*) filter (chosen_rating <= rejected_rating) as bad from pairs")
    assert counts == {"pairs": agree + disagree, "bad": 0}
    published = job.published()
    better = {row["prompt"]: max(row["chosen"], row["rejected"], key=text_rating) for row in rows}
    for row in map(json.loads, published.splitlines()):
        assert row["chosen"][0]["content"] == better[row["prompt"][0]["content"]]
    assert published.count(b"\n") == agree + disagree
    job.run().succeeded()
    assert job.published() == published
    assert sent_by_model(job.server) == {"critic": 2 * ROWS}
    job.command("pair", "--set", "pairs.min_margin=2", "-w", job.workspace).succeeded()
    assert len(job.sql("from audit")) == ROWS
    job.write_recipe()
    assert "source.responses" in job.command("rejudge", "recipe.yaml", "-w", job.workspace).failed(2)


@pytest.mark.parametrize("stage", ["judge", "format_dpo"])
def test_a_gate_that_stops_the_run_does_not_hide_the_audit(new_job: NewJob, stage: str) -> None:
    job = new_job()
    refused = {"stage": stage, "expectation": "ExpectTableRowCountToBeBetween", "max_value": 1}
    rows = labelled(job, gates={"expect": [refused]})
    ended = job.command("rejudge", "recipe.yaml", "-w", job.workspace)
    assert "a gate stopped the run" in ended.failed(3)
    agree = sum(text_rating(row["chosen"]) > text_rating(row["rejected"]) for row in rows)
    assert "Until the run stopped:\n" in ended.out
    assert f"{ROWS} labels: {agree} agree" in ended.out
    assert len(job.sql("from audit")) == ROWS
    audit = json.loads(job.command("judge", "--json", "-w", job.workspace).succeeded().out)["audit"]
    assert (audit["labels"], audit["agrees"]) == (ROWS, agree)
    job.command("pair", "--set", "pairs.min_margin=2", "-w", job.workspace)
    assert len(job.sql("from audit")) == ROWS


def test_what_was_published_last_is_rated_again_without_a_call_or_in_a_new_round(new_job: NewJob) -> None:
    job = new_job().prepare(ROWS, publish={"path": "out"})
    job.run().succeeded()
    published, sent = job.published(), sent_by_model(job.server)
    pairs = len(published.splitlines())
    again = ("rejudge", "recipe.yaml", "--published", "-w", job.workspace)
    output = job.command(*again).succeeded().out
    assert f"{pairs} labels: {pairs} agree, 0 disagree" in output
    assert sent_by_model(job.server) == sent, "what the judge has rated of these two in these orders is known"
    output = job.command(*again, "--set", "judge.round=weekly").succeeded().out
    assert f"{pairs} labels: " in output
    assert sent_by_model(job.server) == {**sent, "critic": sent["critic"] + 2 * pairs}
    assert job.published() == published
