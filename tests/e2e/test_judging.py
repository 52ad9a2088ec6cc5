"""Ways of judging as a user has them: what is asked, what the plan says, and the outcome."""

import pytest

from tests.e2e.conftest import NewJob
from tests.e2e.job import sent_by_model
from tests.e2e.test_commands import planned

pytestmark = pytest.mark.slow

PROMPTS = 30


def test_strong_vs_weak_needs_no_judge_and_pays_none(new_job: NewJob) -> None:
    job = new_job().prepare(PROMPTS, pairs={"strategy": "strong_vs_weak", "strong": ["large"], "weak": ["small"]})
    plan = planned(job.command("plan", "recipe.yaml", "-w", job.workspace))
    assert list(plan) == ["respond"]
    job.run().succeeded()
    assert sent_by_model(job.server) == {"small": PROMPTS, "large": PROMPTS}
    paid = job.published()
    [counts] = job.sql(
        "select (select count(*) from ratings) as ratings, (select count(*) from pairs) as pairs, "
        "(select count(*) from gates where stage = 'judge') as gates, "
        "(select list(stage order by stage) from stages) as stages"
    )
    assert counts == {"ratings": 0, "pairs": PROMPTS, "gates": 0, "stages": ["filter", "format_dpo", "load", "respond"]}
    recipe = {name: value for name, value in job.recipe.items() if name != "judge"}
    job.write_plain(recipe).run().succeeded()
    assert job.published() == paid
    assert "who judges" in job.run("--set", "pairs={min_margin: 2}").failed(2)
    again = ("--set", "pairs.strong=[small]", "--set", "pairs.weak=[large]")
    job.command("pair", *again, "-w", job.workspace).succeeded()
    assert len(job.sql("from pairs")) == PROMPTS
    assert sent_by_model(job.server) == {"small": PROMPTS, "large": PROMPTS}


def test_confirming_asks_less_than_both_orders_and_makes_no_other_pairs(new_job: NewJob) -> None:
    job = new_job().prepare(PROMPTS, judge={"orders": "confirm"})
    job.run().succeeded()
    asked = sent_by_model(job.server)["critic"]
    assert PROMPTS < asked < 2 * PROMPTS
    confirmed = job.sql("from pairs order by prompt_id")
    assert planned(job.command("plan", "recipe.yaml", "-w", job.workspace))["judge"] == [str(asked), str(asked), "0"]
    job.run("--set", "judge.orders=both").succeeded()
    assert sent_by_model(job.server)["critic"] == 2 * PROMPTS
    assert job.sql("from pairs order by prompt_id") == confirmed


def test_checking_first_asks_a_judge_less_and_about_correct_answers_alone(new_job: NewJob) -> None:
    checks = {"verify": {"kind": "my_checks.is_right"}}
    answering = {"models": ["small", "large", "critic"]}
    job = new_job().prepare(PROMPTS, respond=answering, judge=checks, gates={"on_fail": "warn"})
    (job.folder / "my_checks.py").write_text("def is_right(answer, row):\n    return len(answer) % 3 > 0\n")
    assert planned(job.command("plan", "recipe.yaml", "-w", job.workspace))["judge"][0] == f"up to {2 * PROMPTS}"
    job.run().succeeded()
    asked = sent_by_model(job.server)["critic"] - PROMPTS
    assert 0 < asked < 2 * PROMPTS
    assert planned(job.command("plan", "recipe.yaml", "-w", job.workspace))["judge"] == [str(asked), str(asked), "0"]
    found = job.sql(
        "select distinct p.margin, x.rating as chosen, y.rating as rejected, z.response_id as judged from pairs p "
        "join ratings x on x.response_id = chosen_id and x.judge = 'verify' "
        "join ratings y on y.response_id = rejected_id and y.judge = 'verify' "
        "left join ratings z on z.response_id = rejected_id and z.judge = 'critic'"
    )
    assert found == [{"margin": 1, "chosen": 1, "rejected": 0, "judged": None}]
    better = job.sql(
        "with ranks as (select prompt_id, response_id, avg(rating) as rank from ratings where judge = 'critic' "
        "group by all) select count(*) as worse from pairs p join ranks c on c.response_id = chosen_id "
        "join ranks o on o.prompt_id = p.prompt_id where o.rank > c.rank"
    )
    assert better == [{"worse": 0}]
    assert "a judge ranked the correct answers" in (job.out / "README.md").read_text(encoding="utf-8")
    assert "judges rank correct ones" in job.command("check", "recipe.yaml").succeeded().out
    ranked = job.published()
    job.command("pair", "-w", job.workspace).succeeded()
    assert job.published() == ranked
    job.run("--set", "judge.verify=null").succeeded()
    assert sent_by_model(job.server)["critic"] == asked + 3 * PROMPTS


def test_two_judges_have_their_say_and_their_agreement_is_told(new_job: NewJob) -> None:
    job = new_job().prepare(PROMPTS, judge={"model": None, "models": ["critic", "large"]})
    plan = planned(job.command("plan", "recipe.yaml", "-w", job.workspace))
    assert plan["judge"] == [f"up to {4 * PROMPTS}", "0", f"up to {4 * PROMPTS}"]
    job.run().succeeded()
    assert sent_by_model(job.server) == {"small": PROMPTS, "large": 3 * PROMPTS, "critic": 2 * PROMPTS}
    gates = job.sql("select observed from gates where scope = 'whole' and expectation like '%judges_agree%'")
    assert gates == [{"observed": f"100.0% of {2 * PROMPTS}"}]
    job.command("pair", "--set", "pairs.judges=majority", "-w", job.workspace).succeeded()
    assert job.sql("from pairs")


@pytest.mark.slow
def test_comparisons_and_a_rubric_of_ones_own_agree_with_the_ratings(new_job: NewJob) -> None:
    job = new_job().prepare(PROMPTS, judge={"aspects": ["overall-rating"]})
    job.run().succeeded()
    rated = job.sql("select prompt_id, chosen_id, rejected_id from pairs order by prompt_id")
    compared = job.sql_of_run("--set", "judge.method=pairwise", "--set", "judge.output=json")
    assert compared == rated
    (job.folder / "rubric.txt").write_text("Row {{ id }}: praise what a child understands.", encoding="utf-8")
    by_rubric = job.sql_of_run("--set", "judge.method=rubric", "--set", "judge.rubric={file: rubric.txt}")
    assert by_rubric == rated
    assert sent_by_model(job.server)["critic"] == 3 * 2 * PROMPTS
    bodies = [one["body"] for one in job.server.requests() if one["body"]["model"] == "critic"]
    assert sum("response_format" in body for body in bodies) == 2 * PROMPTS
    assert sum("praise what a child" in body["messages"][-1]["content"] for body in bodies) == 2 * PROMPTS
    wrong = job.run("--set", "judge.method=rubric", "--set", "judge.rubric={text: '{{ idd }}'}").failed(2)
    assert "judge.rubric.text" in wrong
    assert "did you mean 'id'?" in wrong
    checked = job.command("check", "recipe.yaml", "--set", "judge.method=pairwise").succeeded().out
    # The first row is Japanese, and so is its judge's prompt.
    assert "優れている方: 文章1、文章2、または同等" in checked


def test_a_reward_model_rates_each_response_once_and_is_paid_once(new_job: NewJob) -> None:
    job = new_job(faults={"http_500": 0.1}).prepare(PROMPTS)
    address = job.server.base_url.removesuffix("/v1")
    scorer = {"kind": "reward", "model": "critic", "base_url": address}
    recipe = {**job.recipe, "models": {**job.recipe["models"], "critic": scorer}}
    recipe["judge"] = {"model": "critic", "method": "reward"}
    job.write_plain(recipe).run().succeeded()
    [counts] = job.sql("select count(*) as ratings, count(distinct response_id) as responses from ratings")
    assert counts == {"ratings": 2 * PROMPTS, "responses": 2 * PROMPTS}
    paid = job.server.stats()["by_endpoint"]["classify"]["calls_finished"]
    assert paid == 2 * PROMPTS
    published = job.published()
    job.run().succeeded()
    assert job.published() == published
    assert job.server.stats()["by_endpoint"]["classify"]["calls_finished"] == paid
    assert "judge.method is ultrafeedback" in job.run("--set", "judge.method=ultrafeedback").failed(2)
    assert "gives numbers and no words" in job.run("--set", "respond.models=[small, critic]").failed(2)


def test_ratings_by_distribution_are_kept_and_a_server_without_them_is_named(new_job: NewJob) -> None:
    job = new_job().prepare(PROMPTS, judge={"read": "distribution"}, pairs={"min_margin": 0.05})
    job.run().succeeded()
    rated = job.sql("select rating, text_rating, read from ratings order by all")
    assert {row["read"] for row in rated} == {"distribution"}
    assert all(0 < abs(row["rating"] - row["text_rating"]) <= 0.5 for row in rated)
    [ties] = job.sql("select count(*) as ties from quarantine where reason like 'tie%'")
    assert ties == {"ties": 0}
    asked, published = sent_by_model(job.server)["critic"], job.published()
    job.run().succeeded()
    assert job.published() == published
    assert sent_by_model(job.server)["critic"] == asked, "the probabilities are in the ledger"
    job.server.configure(logprobs="refused")
    said = job.run("--set", "judge.round=1").succeeded()
    assert "does not give log probabilities: ratings are read from the text" in said.out + said.err
    reason = "because the server gave no log probabilities"
    assert f"judge critic: {len(rated)} of {len(rated)} ratings are read from the text" in said.out + said.err
    assert reason in said.out + said.err


def test_all_aspects_in_one_call_cost_a_part_of_the_calls_and_say_the_same(new_job: NewJob) -> None:
    aspects = ["honesty", "helpfulness", "truthfulness"]
    job = new_job().prepare(PROMPTS, judge={"aspects": aspects, "together": True})
    plan = planned(job.command("plan", "recipe.yaml", "-w", job.workspace))
    assert plan["judge"] == [f"up to {2 * PROMPTS}", "0", f"up to {2 * PROMPTS}"]
    job.run().succeeded()
    assert sent_by_model(job.server)["critic"] == 2 * PROMPTS
    rated = "select response_id, aspect, ordering, rating from ratings order by all"
    ratings, pairs = job.sql(rated), job.sql("from pairs order by prompt_id")
    figures = job.sql("select aspect, subject, value from judge_figures where figure = 'same_as_the_other_aspect'")
    assert len(figures) == 3
    assert {row["value"] for row in figures} == {1.0}
    job.run("--set", "judge.together=false").succeeded()
    assert sent_by_model(job.server)["critic"] == (2 + 6) * PROMPTS
    assert (job.sql(rated), job.sql("from pairs order by prompt_id")) == (ratings, pairs)
