"""Flows that are served: ours, ours from its source, and a user's own that composes ours, from one file."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun

from tests.blocks.helpers import until
from tests.fake_server import FakeServer
from tests.flows.test_own_flows import job, latest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
ROOT = Path(__file__).parents[2]
SCRIPT = f'''
from prefect import flow, serve

from kasasagi import open_run
from kasasagi.flows.preference import make_pairs, make_prompts, preference


@flow
async def nightly(recipe: str, workspace: str):
    """A flow of the user's own."""
    async with open_run(recipe, workspace=workspace) as run:
        await make_pairs(run, await make_prompts(run))
        await run.publish()
    return run.final_state()


if __name__ == "__main__":
    sourced = flow.from_source({str(ROOT)!r}, "flows/preference.py:preference")
    serve(preference.to_deployment("ours"), sourced.to_deployment("sourced"), nightly.to_deployment("own"))
'''


@pytest.fixture
def served(prefect_api: str, prefect_server: None, tmp_path: Path) -> Iterator[None]:
    """The script, served in a folder of the user's."""
    (tmp_path / "flows.py").write_text(SCRIPT, encoding="utf-8")
    environment = {**os.environ, "PREFECT_API_URL": prefect_api}
    with subprocess.Popen([sys.executable, "flows.py"], cwd=tmp_path, env=environment) as process:
        yield
        process.terminate()


def ended(name: str, recipe: str, workspace: str) -> FlowRun:
    """A run of a served deployment, once it has ended."""
    with get_client(sync_client=True) as client:

        def deployment_id() -> str | None:
            found = [one.id for one in client.read_deployments() if one.name == name]
            return str(found[0]) if found else None

        parameters = {"recipe": recipe, "workspace": workspace}
        run = client.create_flow_run_from_deployment(until(deployment_id, 120), parameters=parameters)
        until(lambda: (state := client.read_flow_run(run.id).state) and state.is_final(), 240)
        return client.read_flow_run(run.id)


@pytest.mark.usefixtures("served")
def test_flows_are_served_from_one_file_and_share_what_was_paid(tmp_path: Path) -> None:
    with FakeServer(models=("small", "large", "critic")) as server:
        recipe, workspace = job(tmp_path, server)
        runs, calls = [], []
        for name in ("ours", "sourced", "own"):
            runs.append(ended(name, recipe, workspace))
            calls.append(server.stats()["calls"])
        assert [run.state_name for run in runs] == ["Completed"] * 3
        assert [latest(workspace).state().status, calls] == ["done", [calls[0]] * 3]
        assert all("pairs" in (run.state.message or "") for run in runs if run.state)
        assert (tmp_path / "out" / "train.parquet").is_file()
