"""Responses alone: planned, gated, published and published again, never paid for twice, and paired later."""

import json

import pytest

from tests.e2e.conftest import NewJob
from tests.e2e.job import Job, recipe_for, sent


def responses_of(job: Job, name: str = "out") -> list[dict[str, object]]:
    lines = (job.folder / name / "train.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def unjudged(job: Job, **changes: object) -> Job:
    recipe = recipe_for(job.server.base_url, respond={"system_prompt": "Be brief."}, **changes)
    return job.write_plain({name: part for name, part in recipe.items() if name not in ("judge", "pairs")})


def test_a_recipe_without_judge_makes_a_dataset_of_responses(new_job: NewJob) -> None:
    job = unjudged(new_job().prepare(12))
    output = " ".join(job.command("check", "recipe.yaml", "-w", job.workspace).succeeded().out.split())
    assert "the responses are the dataset" in output
    planned = job.command("plan", "recipe.yaml", "-w", job.workspace).succeeded().out
    assert "judge" not in planned
    assert "24" in planned
    shown = job.run().succeeded()
    assert "Responses: 3 of 24 responses" in shown.out
    assert "from responses" in shown.out
    rows = responses_of(job)
    assert len(rows) == sent(job.server) == 24
    assert list(rows[0])[:3] == ["instruction", "generation", "model_name"]
    assert rows[0]["messages"][0] == {"role": "system", "content": "Be brief."}  # type: ignore[index]
    assert {row["id"] for row in rows} == set(range(12))
    assert {gate["stage"] for gate in job.sql("select stage from gates")} == {"load", "filter", "respond"}
    published = job.command("publish", "--path", "all", "--set", "publish.formats=[all_responses]", "-w", job.workspace)
    assert "24 responses of the run" in published.succeeded().out
    assert len(responses_of(job, "all")) == 12
    assert "made of pairs" in job.command("publish", "--set", "publish.formats=[kto]", "-w", job.workspace).failed(2)
    assert "makes no pairs" in job.command("pair", "-w", job.workspace).failed(2)
    job.command("report", "-w", job.workspace, "-o", job.folder / "report.html").succeeded()
    page = (job.folder / "report.html").read_text(encoding="utf-8")
    assert "<h2>Responses</h2>" in page
    assert "All 24 responses." in page
    job.write_recipe(respond={"system_prompt": "Be brief."})
    job.run().succeeded()
    assert sent(job.server) == 24 + job.sql("select count(*) as n from calls where stage = 'judge'")[0]["n"]


@pytest.mark.slow
def test_gates_of_respond_hold_where_nobody_judges(new_job: NewJob) -> None:
    strict = {"stage": "respond", "expectation": "ExpectTableRowCountToBeBetween", "min_value": 1000}
    job = unjudged(new_job().prepare(12), gates={"expect": [strict]})
    job.run().failed(3)
    assert not (job.folder / "out").exists()


@pytest.mark.slow
def test_the_answers_that_a_dataset_has_are_the_chosen_ones(new_job: NewJob) -> None:
    job = new_job()
    rows = [{"q": f"Name a use of the number {n}.", "a": "It counts things."} for n in range(12)]
    job.write_prompts(rows)
    recipe = recipe_for(
        job.server.base_url,
        source={"columns": {"instruction": "q", "answer": "a"}, "keep": [], "last_answer": "as_chosen"},
    )
    job.write_plain({name: part for name, part in recipe.items() if name not in ("judge", "pairs")})
    assert (
        "12 of 12 rows end with an answer" in job.command("check", "recipe.yaml", "-w", job.workspace).succeeded().out
    )
    job.run().succeeded()
    assert sent(job.server) == 24
    published = responses_of(job)
    assert len(published) == 12
    assert {row["chosen_model"] for row in published} == {"source"}
    assert {row["rejected_model"] for row in published} <= {"small", "large"}
    assert all(row["chosen"] == [{"role": "assistant", "content": "It counts things."}] for row in published)
