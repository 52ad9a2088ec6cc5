"""What changes in a recipe, its data or the world sends again exactly the calls whose request changed."""

from collections.abc import Collection

import pytest

from kasasagi.blocks.workspace.runs import Workspace
from kasasagi.flows.run.options import Options
from kasasagi.flows.runner import Result, run_recipe
from tests.e2e.conftest import PROMPTS, NewJob
from tests.e2e.job import MODELS, Job, prompt_rows, sent_by_model

JAPANESE = sum(row["id"] % 3 == 0 for row in prompt_rows(PROMPTS))


def again(job: Job, *overrides: str, rows: int | None = None, reasons: Collection[str] = ()) -> Result:
    """Run the job's recipe once more, in this process; what failed for some reasons is asked again."""
    options = Options(Workspace(job.workspace), ask_again=frozenset(reasons))
    return run_recipe(job.folder / "recipe.yaml", [f"publish.path={job.out}", *overrides], rows=rows, options=options)


@pytest.fixture
def job(new_job: NewJob, finished: Job) -> Job:
    """The finished job in a folder and with a server of its own: the server stands at another port and knows nobody."""
    return new_job().copy_of(finished).write_recipe()


def test_another_port_margin_filter_and_fewer_rows_send_nothing_and_tables_are_frames(job: Job, finished: Job) -> None:
    same = again(job)
    assert job.published() == finished.published()
    assert_its_tables_are_frames(same, job)
    changed = again(job, "pairs.min_margin=3", "filter.rules=[{min_chars: 50}]")
    assert changed.tables["pairs"]["margin"].min() >= 3
    assert 0 < len(changed.tables["prompts"]) < PROMPTS
    assert len(again(job, rows=10).tables["prompts"]) == 10
    assert sent_by_model(job.server) == {}


def assert_its_tables_are_frames(result: Result, job: Job) -> None:
    """Check the tables of a run from Python."""
    assert result.state.status == "done"
    pairs = result.tables["pairs"]
    assert len(pairs) == len(job.published().splitlines())
    assert {"prompt_id", "chosen_id", "rejected_id", "margin", "id"} <= set(pairs.columns)
    assert len(result.tables["responses"]) == 2 * PROMPTS


def test_one_more_prompt_is_all_that_is_sent(job: Job) -> None:
    job.write_prompts(prompt_rows(PROMPTS + 1))
    again(job)
    assert sent_by_model(job.server) == {"small": 1, "large": 1, "critic": 2}


def test_other_chunks_send_only_the_new_prompts(job: Job) -> None:
    job.write_prompts(list(reversed(prompt_rows(PROMPTS + 200))))
    result = again(job)
    assert len(result.tables["stages"].query("stage == 'respond'")) == 1
    assert sent_by_model(job.server) == {"small": 200, "large": 200, "critic": 400}


def test_another_language_of_the_judge_asks_the_judge_about_the_others(job: Job) -> None:
    again(job, "judge.language=ja")
    assert sent_by_model(job.server) == {"critic": 2 * (PROMPTS - JAPANESE)}


def test_another_temperature_of_one_model_asks_it_again_and_the_judge(job: Job) -> None:
    again(job, "respond.models.1.sampling.temperature=0.3")
    assert sent_by_model(job.server) == {"large": PROMPTS, "critic": 2 * PROMPTS}


def test_more_samples_count_on(job: Job) -> None:
    again(job, "respond.samples=2", "judge.orders=random")
    sent = sent_by_model(job.server)
    assert (sent["small"], sent["large"]) == (PROMPTS, PROMPTS)


@pytest.mark.slow
def test_prompts_are_chosen_by_what_their_responses_showed(job: Job) -> None:
    every = job.sql_of_run()
    means = "select prompt_id, response_id, avg(rating) as mean from ratings group by all"
    rows = job.sql(f"select prompt_id, max(mean) - min(mean) as spread from ({means}) group by all")
    spreads = {row["prompt_id"]: row["spread"] for row in rows}
    wanted = sorted(spreads[row["prompt_id"]] for row in every)[len(every) // 2]
    before = sent_by_model(job.server)
    apart = f"pairs.where={{apart: 'rating_spread >= {wanted}'}}"
    some = job.sql_of_run("--set", apart, "--set", "gates.on_fail=warn")
    assert some == [row for row in every if spreads[row["prompt_id"]] >= wanted]
    assert 0 < len(some) < len(every)
    chosen = job.sql("select prompt_id, rating_spread from pairs")
    assert {row["prompt_id"]: row["rating_spread"] for row in chosen} == {
        row["prompt_id"]: pytest.approx(spreads[row["prompt_id"]]) for row in some
    }
    quota = "--set", "pairs.select={limit: 3, order_by: rating_spread desc}"
    job.command("pair", *quota, "-w", job.workspace).succeeded()
    [widest] = job.sql("select min(rating_spread) as least, count(*) as pairs from pairs")
    assert widest == {"least": pytest.approx(sorted(spreads.values())[-3]), "pairs": 3}
    assert len(job.sql_of_run(*quota, "--set", apart, "--set", "gates.on_fail=warn")) == 3
    reasons = {row["reason"] for row in job.sql("select reason from quarantine where stage = 'format_dpo'")}
    assert reasons == {"apart", "quota"}
    assert sent_by_model(job.server) == before


def test_what_failed_for_good_is_asked_again_as_often_as_is_said_and_then_stays(new_job: NewJob) -> None:
    job = new_job(faults={"context_too_long": 0.3}, fault_models=("small",))
    job.prepare(20, gates={"on_fail": "warn"}, judge={"orders": "random"})

    def now_sent(*reasons: str) -> dict[str, int]:
        job.server.reset_stats()
        again(job, reasons=reasons)
        return sent_by_model(job.server)

    now_sent()
    lacking = job.published()
    assert now_sent() == {}
    failed = now_sent("context_too_long")["small"]
    assert failed > 2
    assert now_sent("context_too_long") == {"small": failed}
    assert job.published() == lacking
    job.server.configure(faults={})
    assert now_sent("context_too_long") == {"small": failed, "critic": failed}
    whole = job.published()
    assert len(whole.splitlines()) > len(lacking.splitlines())
    assert now_sent() == {}
    assert job.published() == whole


def test_workers_and_the_order_of_replies_change_nothing(new_job: NewJob) -> None:
    jobs = []
    for concurrency, second_a_token in ((4, 0.004), (64, 0.02)):
        job = new_job(f"by-{concurrency}", per_token_s=second_a_token, tokens_mean=10.0, tokens_sd=8.0)
        job.prepare(PROMPTS, models={name: {"max_concurrency": concurrency} for name in MODELS})
        again(job)
        jobs.append(job)
    assert jobs[0].published() == jobs[1].published()
