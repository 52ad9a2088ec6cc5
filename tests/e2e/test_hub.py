"""A run that pushes to the Hub: after the gates alone, and again without a call where the push failed."""

from collections.abc import Iterator

import pytest

from tests.e2e.conftest import NewJob
from tests.e2e.job import Job, sent
from tests.fake_hub import FakeHub

TOKEN = "hf_marked-token-7f3a91c2d5"
REPO = "birds/pairs"


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with FakeHub(TOKEN).serving() as hub:
        yield hub


def prepared(new_job: NewJob, hub: FakeHub, finished: Job, **publish: object) -> Job:
    """A job whose answers are known already, and that pushes to this Hub."""
    job = new_job().copy_of(finished)
    environment = {"HF_ENDPOINT": hub.address, "HF_TOKEN": TOKEN, "HF_HUB_DISABLE_XET": "1"}
    job.command.environment.update(environment)
    return job.write_recipe(publish={"hub": {"repo": REPO, **publish}})


def test_a_push_that_fails_is_one_sentence_and_is_done_again_without_a_call(
    new_job: NewJob, finished: Job, hub: FakeHub
) -> None:
    job = prepared(new_job, hub, finished)
    hub.failing["/commit/"] = 403
    sentence = job.run().failed(1)
    assert f"nothing was pushed to {REPO}" in sentence
    assert TOKEN not in sentence
    assert job.published() == finished.published()
    assert set(hub.repositories[REPO].files()) == {".gitattributes"}
    hub.failing.clear()
    output = job.command("publish", "-w", job.workspace).succeeded().out
    assert f"{hub.address}/datasets/{REPO}" in output
    assert hub.repositories[REPO].files()["train.jsonl"] == finished.published()
    assert sent(job.server) == 0
    shown = job.command("show", "-w", job.workspace).succeeded().out
    assert "done" in shown
    assert f"{hub.address}/datasets/{REPO}" in shown


def test_a_failed_gate_pushes_nothing(new_job: NewJob, finished: Job, hub: FakeHub) -> None:
    job = prepared(new_job, hub, finished)
    strict = {"stage": "format_dpo", "expectation": "ExpectTableRowCountToBeBetween", "min_value": 41}
    job.write_recipe(gates={"expect": [strict]}, publish={"hub": {"repo": REPO}})
    job.run().failed(3)
    assert "--partial" in job.command("publish", job.newest(), "-w", job.workspace).failed(1)
    assert hub.asked == []


def test_a_missing_token_is_said_before_anything_is_paid_for(new_job: NewJob, finished: Job, hub: FakeHub) -> None:
    job = prepared(new_job, hub, finished, token_env="ANOTHER_TOKEN")
    assert "ANOTHER_TOKEN is not set" in job.run().failed(2)
    assert "ANOTHER_TOKEN is not set" in job.command("check", "recipe.yaml").failed(2)
    assert hub.asked == []
