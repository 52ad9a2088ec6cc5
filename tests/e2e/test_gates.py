"""A gate that fails: nothing is published, little is sent, and only a person who says so gets the rest."""

import pytest

from tests.e2e.conftest import NewJob
from tests.e2e.job import MODELS, Job, recipe_for, sent, sent_by_model, tree

PROMPTS = 1000
SHARE = "ExpectColumnValuesToBeInSet"


def test_refusals_stop_the_run_at_the_scout(new_job: NewJob) -> None:
    job = new_job(faults={"refusal": 0.3}, fault_models=("small", "large")).prepare(PROMPTS)
    sentence = job.run().failed(3)
    assert "respond: refusals: " in sentence
    assert "(at most 10.0%; " in sentence
    assert "most often refusal (" in sentence
    assert "nothing was published" in sentence
    assert not job.out.exists()
    sent = sent_by_model(job.server)
    assert sent["small"] + sent["large"] < PROMPTS * 2 * 0.3, "no more than the scout and a bounded send-ahead"
    failed = job.sql("from gates where not success")
    assert [(row["stage"], row["scope"], row["severity"]) for row in failed] == [("respond", "scout", "critical")]


def test_a_failed_gate_leaves_an_earlier_publication_as_it_was(new_job: NewJob, finished: Job) -> None:
    job = new_job().copy_of(finished)
    strict = {"stage": "format_dpo", "expectation": "ExpectTableRowCountToBeBetween", "min_value": 41}
    job.write_recipe(gates={"expect": [strict]})
    earlier = tree(job.out)
    assert "format_dpo: rows: 40 (at least 41)" in job.run().failed(3)
    assert tree(job.out) == earlier
    assert sent_by_model(job.server) == {}

    assert "--partial" in job.command("publish", job.newest(), "-w", job.workspace).failed(1)
    assert tree(job.out) == earlier
    job.command("publish", job.newest(), "--partial", "--path", "half", "-w", job.workspace).succeeded()
    assert (job.folder / "half" / "train.jsonl").read_bytes() == finished.published()
    card = (job.folder / "half" / "README.md").read_text(encoding="utf-8")
    assert "warning" in card.casefold()


def test_a_small_run_warns_where_a_large_one_would_stop(new_job: NewJob) -> None:
    job = new_job(tokens_mean=0).prepare(40)
    ended = job.run("-n", "3").succeeded()
    assert job.published()
    job.write_recipe(
        gates={"expect": [{"stage": "format_dpo", "expectation": SHARE, "column": "gives_pair", "mostly": 1}]}
    )
    ended = job.run("-n", "5").succeeded()
    assert "gate warning: format_dpo: prompts that give a pair: " in ended.err
    assert " of 5 (at least 100.0%)" in ended.err


@pytest.mark.parametrize("status", [500, 503])
def test_an_outage_is_no_fault_of_the_data(new_job: NewJob, status: int) -> None:
    job = new_job()
    impatient = {name: {"max_retries": 1, "patience_s": 1} for name in MODELS}
    job.prepare(100, models=impatient).run("-n", "10").succeeded()
    job.server.configure(
        faults={"http_500": 1.0} if status == 500 else {}, status_all=status if status == 503 else None
    )
    sentence = job.run().failed(3 if status == 500 else 1)
    if status == 500:
        assert "respond: calls without an answer: " in sentence
        assert "500: " in sentence
        assert "run again to ask only what is missing" in sentence
    job.server.configure(faults={}, status_all=None)
    before = sent(job.server)
    job.run().succeeded()
    assert sent(job.server) > before


def test_an_outage_is_no_fault_of_the_template(new_job: NewJob) -> None:
    job = new_job()
    impatient = {name: {"max_retries": 1, "patience_s": 1} for name in MODELS}
    source = {"kind": "magpie", "model": "small", "template": "<user>", "target": 60}
    job.write_plain({**recipe_for(job.server.base_url, models=impatient), "source": source})
    job.server.configure(faults={"http_500": 1.0})
    sentence = job.run().failed(3)
    assert "synthesize: draws without an answer: 100.0% of " in sentence
    assert "500: " in sentence
    assert "run again to ask only what is missing" in sentence
    assert "change the template" not in sentence
