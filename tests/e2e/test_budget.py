"""A budget: the run stops cleanly when it is spent, what was paid for is kept, and with a raised one it resumes."""

from typing import Any

import pytest

from tests.e2e.conftest import NewJob
from tests.e2e.job import MODELS, Job, begun, recipe_for, sent, sent_by_model


def test_a_run_stops_at_its_budget_and_goes_on_when_it_is_raised(new_job: NewJob) -> None:
    job = new_job()
    job.prepare(600, budget={"calls": 1_200})
    stopped = job.run()
    output = stopped.failed(4)
    assert "the budget of 1,200 calls does not cover" in output
    assert "raise budget.calls and run again" in output
    assert "the run will stop when it is spent" in stopped.err
    first = sent(job.server)
    assert 1_100 < first <= 1_200
    assert job.kept() == first
    paid = {
        row["stage"]: row["calls_paid"] for row in job.sql("select stage, calls_paid from stages where calls_paid > 0")
    }
    assert sum(paid.values()) == first, "the account of a stopped run is right"
    by_model = sent_by_model(job.server)
    assert by_model["critic"] > 0.45 * first, "half of all calls are the judge's, and they were spent on it"
    [pairs] = job.sql("select count(*) as pairs from pairs")
    assert pairs["pairs"] > 150, "about half of the prompts were judged, most of which give a pair"
    assert not job.out.exists()
    assert job.command("runs", "-w", job.workspace).succeeded().out.count("stopped") == 1

    job.write_recipe(budget={"calls": 5_000})
    job.run().succeeded()
    assert set(begun(job.server).values()) == {1}
    assert job.published()


@pytest.mark.parametrize("budget", [{"usd": 1.0}, {"tokens": 200_000}])
def test_what_is_reserved_for_verdicts_is_spent_on_them(new_job: NewJob, budget: dict[str, float]) -> None:
    """The plan guesses answers of many hundred tokens; they have some thirty."""
    job = new_job(tokens_mean=150, tokens_sd=40)
    prices = {name: {"usd_per_million_tokens": {"input": 1, "output": 4}} for name in MODELS}
    job.prepare(400, models=prices, budget=budget).run().failed(4)
    [spent] = job.sql("select sum(cost_usd) as usd, sum(prompt_tokens + completion_tokens) as tokens from stages")
    for unit, cap in budget.items():
        assert 0.85 * cap < spent[unit] <= cap
    [judged] = job.sql("select count(distinct prompt_id) as prompts from ratings")
    [answered] = job.sql("select count(distinct prompt_id) as prompts from responses")
    assert judged["prompts"] > 0.7 * answered["prompts"] > 50


def test_a_budget_that_ends_within_the_first_chunk_is_no_failed_gate(new_job: NewJob) -> None:
    job = new_job()
    job.prepare(40, budget={"calls": 30})
    assert "the budget of 30 calls" in job.run().failed(4)
    assert sent(job.server) <= 30
    assert sent_by_model(job.server)["critic"] >= 8


def test_the_plan_says_what_the_budget_is_for(new_job: NewJob) -> None:
    job = new_job()
    job.prepare(10, models={"critic": {"usd_per_million_tokens": {"output": 1_000}}}, budget={"usd": 0.01})
    output = job.command("plan", "recipe.yaml", "-w", job.workspace).succeeded().out
    assert "of $0.0100; the run will stop when it is spent" in output
    assert "budget.usd" in job.run().failed(4)
    assert sent_by_model(job.server).get("critic", 0) <= 1


def assert_pairs_and_account(job: Job, sent_calls: int) -> None:
    """Check that what a budget left for later stages gave pairs, and that the account of the stopped run is right."""
    [paid] = job.sql("select sum(calls_paid) as calls from stages")
    assert paid["calls"] == sent_calls
    [pairs] = job.sql("select count(*) as pairs from pairs")
    assert pairs["pairs"] > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "calls"),
    [
        ({"tags": {"model": "critic"}}, 60),
        ({"rewrite": {"model": "small", "methods": ["deeper"]}}, 150),
    ],
    ids=["tags", "rewrite"],
)
def test_a_budget_that_ends_before_anybody_responds_gives_pairs_of_what_passed(
    new_job: NewJob, stage: dict[str, Any], calls: int
) -> None:
    job = new_job()
    job.prepare(100, budget={"calls": calls}, **stage)
    assert f"the budget of {calls} calls does not cover" in job.run().failed(4)
    assert sent(job.server) <= calls
    assert_pairs_and_account(job, sent(job.server))


def test_instructions_that_the_budget_left_incomplete_are_not_published(new_job: NewJob) -> None:
    job = new_job()
    job.prepare(1)
    recipe = {"name": "seeds", "models": recipe_for(job.server.base_url)["models"], "publish": {"path": "out"}}
    source = {"kind": "magpie", "model": "small", "template": "<user>", "target": 60}
    job.write_plain({**recipe, "source": source, "budget": {"calls": 40}})
    assert "the budget of 40 calls does not cover" in job.run().failed(4)
    assert not job.out.exists()
    assert job.command("runs", "-w", job.workspace).succeeded().out.count("stopped") == 1

    job.write_plain({**recipe, "source": source, "budget": {"calls": 5_000}})
    job.run().succeeded()
    assert job.kept() == sent(job.server)
    assert job.out.exists()


@pytest.mark.slow
def test_a_budget_that_is_spent_while_inventing_stops_cleanly_and_goes_on_when_it_is_raised(new_job: NewJob) -> None:
    job = new_job()
    source = {"kind": "magpie", "model": "small", "template": "<user>", "target": 60}

    def with_budget(calls: int) -> None:
        job.write_plain({**recipe_for(job.server.base_url, budget={"calls": calls}), "source": source})

    with_budget(150)
    output = job.run().failed(4)
    assert "the budget of 150 calls does not cover" in output
    assert "raise budget.calls and run again" in output
    first = sent(job.server)
    assert 100 < first <= 150
    assert job.kept() == first
    assert_pairs_and_account(job, first)
    assert not job.out.exists()
    assert job.command("runs", "-w", job.workspace).succeeded().out.count("stopped") == 1

    with_budget(5_000)
    job.run().succeeded()
    assert job.kept() == sent(job.server)
    assert job.published()
