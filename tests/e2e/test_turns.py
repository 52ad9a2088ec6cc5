"""Dialogues of several turns, end to end: from Magpie and from a dataset, paid for once, the accounts closed."""

import json

import pytest

from tests.e2e.conftest import NewJob
from tests.e2e.job import LOSABLE, Job, sent
from tests.e2e.test_kill import killed_after

pytestmark = pytest.mark.slow

MAGPIE = {
    "kind": "magpie",
    "model": "small",
    "template": "chatml",
    "target": 12,
    "turns": {"count": 2, "answers": {"model": "large"}},
}


def closed(job: Job) -> dict[str, int]:
    rows = job.sql("SELECT stage, rows_in, rows_out, quarantined FROM stages")
    assert all(row["rows_in"] == row["rows_out"] + row["quarantined"] for row in rows)
    return {row["stage"]: row["rows_out"] for row in rows}


def test_invented_dialogues_become_pairs_and_are_paid_for_once(new_job: NewJob) -> None:
    job = new_job().prepare(1)
    job.write_recipe()
    job.recipe["source"] = MAGPIE
    (job.folder / "recipe.yaml").write_text(json.dumps(job.recipe), encoding="utf-8")
    job.run().succeeded()
    accounts = closed(job)
    assert accounts["filter"] == 12
    assert accounts["converse"] > 6
    shapes = job.sql("SELECT DISTINCT [m.role for m in messages] AS roles FROM prompts")
    assert shapes == [{"roles": ["user", "assistant", "user"]}]
    assert job.sql("SELECT count(*) AS n FROM prompts") == [{"n": accounts["converse"]}]
    prompts = [json.loads(line)["prompt"] for line in job.published().splitlines()]
    assert prompts
    assert {len(prompt) for prompt in prompts} == {3}
    paid, published = sent(job.server), job.published()
    traced = job.command("trace", job.sql("SELECT min(seed_id) AS id FROM turns")[0]["id"], "-w", job.workspace)
    assert "Call (converse)" in traced.succeeded().out
    again = job.run().succeeded()
    assert f"converse: {24:,} calls, {24:,} in the ledger" in again.err
    assert sent(job.server) == paid
    assert job.published() == published


def test_single_turns_of_a_dataset_go_on(new_job: NewJob) -> None:
    job = new_job().prepare(10, source={"turns": {"count": 3, "model": "small", "template": "chatml"}})
    assert "the recipe is valid" in job.command("check", "recipe.yaml").succeeded().out
    assert "converse" in job.command("plan", "recipe.yaml", "-w", job.workspace).succeeded().out
    job.run().succeeded()
    accounts = closed(job)
    assert accounts["filter"] == 10
    found = job.sql("SELECT id, len(messages) AS n FROM prompts")
    assert {row["n"] for row in found} == {5}
    assert len({row["id"] for row in found}) == accounts["converse"]
    problem = job.command("check", "recipe.yaml", "--set", "source.turns.model=smal").failed(2)
    assert "source.turns.model: 'smal'" in problem


def conversing(job: Job, prompts: int) -> Job:
    """A job of single turns that are to become dialogues of three; the small model answers and plays the user."""
    return job.prepare(prompts, source={"turns": {"count": 3, "model": "small", "template": "chatml"}})


def test_a_run_killed_while_dialogues_grow_pays_twice_only_for_what_was_in_flight(new_job: NewJob) -> None:
    undisturbed = conversing(new_job("undisturbed"), 60)
    undisturbed.run().succeeded()
    # Some 240 calls let the dialogues grow, 16 at a time: the last kill comes when a good quarter of them is sent.
    job = conversing(new_job(first_token_s=0.3), 60)
    lost = [killed_after(job, samples) for samples in (10, 20, 30)]
    assert job.command("runs", "-w", job.workspace).succeeded().out.count("killed") == 3
    job.run().succeeded()
    assert all(0 <= one <= LOSABLE for one in lost), lost
    assert job.server.stats()["samples_begun_again"] == sum(lost)
    assert job.published() == undisturbed.published()
    assert closed(job) == closed(undisturbed)


def test_dialogues_that_break_off_stop_the_run_at_the_scout(new_job: NewJob) -> None:
    job = conversing(new_job(faults={"refusal": 0.8}, fault_models=("small",)), 1000)
    sentence = job.run().failed(3)
    assert "converse: dialogues that reach their last turn: " in sentence
    assert not job.out.exists()
    failed = job.sql("FROM gates WHERE NOT success")
    assert [(row["stage"], row["scope"]) for row in failed] == [("converse", "scout")]
    assert sent(job.server) < 1000, "no more than the scout and a bounded send-ahead"
