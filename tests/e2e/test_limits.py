"""Another max_tokens: the answers that were cut off are all that is planned and sent, also where a run is killed."""

from typing import Any

import pytest

from kasasagi.blocks.workspace.runs import Workspace
from kasasagi.flows.planning import plan_recipe
from kasasagi.flows.recipe.loading import load_recipe
from tests.e2e.conftest import NewJob
from tests.e2e.job import Job, sent_by_model
from tests.e2e.test_changes import again
from tests.e2e.test_kill import killed_after

ROWS = 24
LOW, HIGH = 60, 512


def with_limit(most: int) -> dict[str, Any]:
    return {"respond": {"sampling": {"max_tokens": most}}, "gates": {"on_fail": "warn"}}


def planned(job: Job) -> int:
    """How many answers the respond stage has to pay for."""
    plans = plan_recipe(load_recipe(job.folder / "recipe.yaml"), Workspace(job.workspace), None, frozenset())
    return next(plan.to_pay for plan in plans if plan.stage == "respond")


@pytest.mark.slow
def test_a_higher_limit_sends_what_was_cut_off_once_also_after_a_kill(new_job: NewJob) -> None:
    job = new_job(tokens_mean=50.0, tokens_sd=20.0).prepare(ROWS, **with_limit(LOW))
    first = again(job).tables
    cut = int((first["quarantine"]["reason"] == "truncated").sum())
    assert 4 < cut < ROWS
    job.write_recipe(**with_limit(HIGH))
    assert planned(job) == cut
    job.server.reset_stats()
    job.server.configure(first_token_s=0.2)
    lost = killed_after(job, 3)
    longer = again(job)
    sent = sent_by_model(job.server)
    assert job.server.stats()["samples_begun_again"] == lost
    assert cut <= sent["small"] + sent["large"] <= cut + lost
    assert "truncated" not in set(longer.tables["quarantine"]["reason"])
    kept, now = (tables["responses"].set_index("response_id")["content"] for tables in (first, longer.tables))
    assert len(now) == 2 * ROWS
    assert now[kept.index].equals(kept)
    assert planned(job) == 0
