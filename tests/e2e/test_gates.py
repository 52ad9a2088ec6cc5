"""A gate that fails: nothing is published, little is sent, and only a person who says so gets the rest."""

from tests.e2e.conftest import NewJob
from tests.e2e.job import Job, sent_by_model, tree

PROMPTS = 1000


def test_refusals_stop_the_run_at_the_scout(new_job: NewJob) -> None:
    job = new_job(faults={"refusal": 0.3}, fault_models=("small", "large")).prepare(PROMPTS)
    sentence = job.run().failed(3)
    assert "refused" in sentence
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
    assert "ExpectTableRowCountToBeBetween" in job.run().failed(3)
    assert tree(job.out) == earlier
    assert sent_by_model(job.server) == {}

    assert "--partial" in job.command("publish", "-w", job.workspace).failed(1)
    assert tree(job.out) == earlier
    job.command("publish", "--partial", "--path", "half", "-w", job.workspace).succeeded()
    assert (job.folder / "half" / "train.jsonl").read_bytes() == finished.published()
    card = (job.folder / "half" / "README.md").read_text(encoding="utf-8")
    assert "warning" in card.casefold()
