"""A budget: the run stops cleanly when it is spent, what was paid for is kept, and a raised one goes on."""

import pytest

from tests.e2e.conftest import NewJob
from tests.e2e.job import begun, recipe_for, sent, sent_by_model


def test_a_run_stops_at_its_budget_and_goes_on_when_it_is_raised(new_job: NewJob) -> None:
    job = new_job()
    job.prepare(200, budget={"calls": 600})
    stopped = job.run()
    said = stopped.failed(4)
    assert "the budget of 600 calls does not reach" in said
    assert "raise budget.calls and run again" in said
    assert "the run will stop when it is spent" in stopped.err
    first = sent(job.server)
    assert 400 < first <= 600
    assert job.kept() == first
    by_model = sent_by_model(job.server)
    assert by_model["critic"] >= 0.3 * first, "the judge keeps its share"
    assert not job.out.exists()
    assert job.command("runs", "-w", job.workspace).succeeded().out.count("stopped") == 1

    job.write_recipe(budget={"calls": 5_000})
    job.run().succeeded()
    assert set(begun(job.server).values()) == {1}
    assert job.published()


def test_the_plan_says_what_the_budget_is_for(new_job: NewJob) -> None:
    job = new_job()
    job.prepare(10, models={"critic": {"usd_per_million_tokens": {"output": 1_000}}}, budget={"usd": 0.01})
    said = job.command("plan", "recipe.yaml", "-w", job.workspace).succeeded().out
    assert "of $0.0100; the run will stop when it is spent" in said
    assert "budget.usd" in job.run().failed(4)
    assert sent_by_model(job.server).get("critic", 0) <= 1


@pytest.mark.slow
def test_a_budget_that_is_spent_while_inventing_stops_cleanly_and_goes_on_when_it_is_raised(new_job: NewJob) -> None:
    job = new_job()
    source = {"kind": "magpie", "model": "small", "template": "<user>", "target": 30}

    def with_budget(calls: int) -> None:
        job.write_plain({**recipe_for(job.server.base_url, budget={"calls": calls}), "source": source})

    with_budget(20)
    said = job.run().failed(4)
    assert "the budget of 20 calls does not reach" in said
    assert "raise budget.calls and run again" in said
    first = sent(job.server)
    assert 10 < first <= 20
    assert job.kept() == first
    assert not job.out.exists()
    assert job.command("runs", "-w", job.workspace).succeeded().out.count("stopped") == 1

    with_budget(5_000)
    job.run().succeeded()
    assert job.kept() == sent(job.server)
    assert job.published()
