"""A job judged by checklists: what the plan counts, what is paid for, and what a user sees."""

import pytest

from tests.e2e.conftest import NewJob
from tests.e2e.job import prompt_rows, sent_by_model
from tests.e2e.test_commands import planned

pytestmark = pytest.mark.slow

PROMPTS = 20


def test_written_items_are_paid_once_and_seen_in_the_ratings(new_job: NewJob) -> None:
    job = new_job().prepare(PROMPTS, judge={"method": "checklist", "items_by": "large"}, gates={"on_fail": "warn"})
    ahead = planned(job.command("plan", "recipe.yaml", "-w", job.workspace))
    assert ahead["judge"] == [f"up to {3 * PROMPTS}", "0", f"up to {3 * PROMPTS}"]
    job.run().succeeded()
    assert sent_by_model(job.server) == {"small": PROMPTS, "large": 2 * PROMPTS, "critic": 2 * PROMPTS}
    paid = planned(job.command("plan", "recipe.yaml", "-w", job.workspace))
    assert paid["judge"] == [str(3 * PROMPTS), str(3 * PROMPTS), "0"]
    published = job.published()
    job.run().succeeded()
    job.run("--set", "judge.round=1").succeeded()
    assert job.published() == published
    assert sent_by_model(job.server) == {"small": PROMPTS, "large": 2 * PROMPTS, "critic": 4 * PROMPTS}
    [rated] = job.sql("select min(rating) >= 0 as low, max(rating) <= 10 as high, count(*) as ratings from ratings")
    assert rated == {"low": True, "high": True, "ratings": 2 * PROMPTS}
    job.run("--set", "judge.read=distribution").succeeded()
    assert job.sql("select distinct read from ratings") == [{"read": "distribution"}]
    assert sent_by_model(job.server)["large"] == 2 * PROMPTS, "no items are written once more"
    [row] = job.sql("select chosen_id, rationale from pairs join ratings on response_id = chosen_id limit 1")
    assert "(weight 5)" in row["rationale"]
    traced = job.command("trace", row["chosen_id"], "-w", job.workspace).succeeded().out
    assert "weight" in traced
    assert traced.count("Call (judge)") >= 2, "the call that wrote the items stands beside those that rated"
    checked = job.command("check", "recipe.yaml").succeeded().out
    assert "large writes the items of each prompt" in checked
    assert "more than checklist can give" in job.run("--set", "pairs.min_margin=11").failed(2)


def test_given_items_that_checkers_decide_cost_no_call(new_job: NewJob) -> None:
    job = new_job().prepare(PROMPTS, gates={"on_fail": "warn"})
    items = ["Does the answer use at most 45 words?", {"item": "Is it in Japanese?", "check": {"language": "ja"}}]
    job.write_prompts([{**row, "steps": items} for row in prompt_rows(PROMPTS)])
    source = {**job.recipe["source"], "keep": ["id", "steps"]}
    recipe = {**job.recipe, "source": source, "judge": {"method": "checklist", "items": "steps"}}
    job.write_plain(recipe).run().succeeded()
    assert sent_by_model(job.server) == {"small": PROMPTS, "large": PROMPTS}
    [found] = job.sql("select list(distinct judge) as judges, bool_and(call_id is null) as free from ratings")
    assert found == {"judges": ["verify"], "free": True}
    assert job.sql("select distinct success from gates where expectation like '%cannot_tell%'")
    checked = job.command("check", "recipe.yaml").succeeded().out
    assert "checked without a call: Does the answer use at most 45 words?" in checked
    assert "did you mean 'steps'" in job.run("--set", "judge.items=step").failed(2)
    asked = {**recipe, "judge": {"method": "checklist", "items": ["Is it kind?"], "model": "critic"}}
    job.write_plain(asked)
    assert planned(job.command("plan", "recipe.yaml", "-w", job.workspace))["judge"][0] == str(2 * PROMPTS)
    job.run().succeeded()
    assert sent_by_model(job.server)["critic"] == 2 * PROMPTS
    wrong = {**asked, "models": {**asked["models"], "critic": {"kind": "bundled"}}}
    assert "was not trained on checklists" in job.write_plain(wrong).run().failed(2)
