"""A model at several addresses: one may die in the middle of a run, and others may serve the next one."""

import pytest

from tests.e2e.command import until
from tests.e2e.conftest import NewJob
from tests.e2e.job import MODELS, sent
from tests.fake_server import FakeServer

pytestmark = pytest.mark.slow


def test_a_server_dies_in_the_run_and_another_serves_the_next(new_job: NewJob) -> None:
    job = new_job(first_token_s=0.05)
    with FakeServer(models=MODELS, first_token_s=0.05) as dying, FakeServer(models=MODELS) as other:
        both = [job.server.base_url, dying.base_url]
        job.prepare(40, models={name: {"base_url": both} for name in MODELS})
        running = job.start()
        until(lambda: sent(dying) > 10, "the second server has work")
        dying.stop()
        running.wait().succeeded()
        assert job.sql("select count(*) as rows from quarantine where stage = 'respond'") == [{"rows": 0}]
        job.write_recipe(models={name: {"base_url": other.base_url} for name in MODELS})
        job.run().succeeded()
        assert sent(other) == 0


def test_a_list_that_is_no_address_is_one_sentence(new_job: NewJob) -> None:
    job = new_job()
    job.prepare(2, models={"small": {"base_url": [job.server.base_url, "nowhere"]}})
    assert "models.small.base_url: 'nowhere' is not an address" in job.run().failed(2)
