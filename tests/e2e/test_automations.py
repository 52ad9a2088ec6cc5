"""What Prefect does on its own, on a real server with our automations: the budget's, and a machine's that has died."""

from pathlib import Path

import pytest

from tests.e2e.command import until
from tests.e2e.job import CONCURRENCY, LOSABLE, MODELS
from tests.e2e.test_worker import PROMPTS, Team, impatient_automations
from tests.fake_server import FakeServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
# Longer than a run takes to begin under load, of which the first heartbeat tells.
LOST_AFTER_S = 45


def test_an_overspent_budget_pauses_the_deployment_alone(prefect: Team, tmp_path: Path) -> None:
    with FakeServer(models=MODELS) as server:
        job = prefect.job(tmp_path / "job", server)
        job.prepare(PROMPTS, publish={"path": str(job.out)}, budget={"calls": 30})
        prefect.automate(impatient_automations(tmp_path))
        run = prefect.start_run("on-demand", job.folder / "recipe.yaml")
        until(lambda: prefect.state(run) == "FAILED", "the budget has stopped the run", 180)
        assert "budget" in prefect.asked(f"flow_runs/{run}")["state"]["message"]

        def paused(deployment: str) -> bool:
            return bool(prefect.asked(f"deployments/name/preference/{deployment}")["paused"])

        until(lambda: paused("on-demand"), "the automation pauses the deployment", 120)
        assert not paused("nightly")
        assert not job.out.exists()


def test_a_run_whose_machine_died_is_marked_as_crashed_and_taken_up_by_another_worker(
    prefect: Team, tmp_path: Path
) -> None:
    with FakeServer(models=MODELS, first_token_s=0.5) as server:
        job = prefect.job(tmp_path / "job", server)
        job.prepare(PROMPTS, publish={"path": str(job.out)})
        prefect.automate(impatient_automations(tmp_path, lost_after_s=LOST_AFTER_S))
        run = prefect.start_run("on-demand", job.folder / "recipe.yaml")
        until(lambda: server.stats()["samples_begun"] > CONCURRENCY, "the run has begun", 240)
        prefect.kill_worker()
        assert prefect.state(run) == "RUNNING"

        until(lambda: prefect.state(run) != "RUNNING", "somebody notices", 240)
        messages = [state["message"] for state in prefect.asked(f"flow_run_states/?flow_run_id={run}")]
        assert "Nothing was heard of its process for ten minutes." in messages
        prefect.start_worker()
        until(lambda: prefect.state(run) == "COMPLETED", "another worker takes it up", 300)
        assert (job.out / "train.jsonl").exists()
        assert server.stats()["samples_begun_again"] <= LOSABLE
