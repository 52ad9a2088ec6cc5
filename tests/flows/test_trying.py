"""One stage is called on a few rows, without a flow, and its calls are in the ledger."""

import os
from pathlib import Path

import pytest

from kasasagi import try_stage
from kasasagi.blocks.workspace.runs import Workspace
from kasasagi.tasks.judge import judge
from kasasagi.tasks.respond import respond
from tests.fake_server import FakeServer
from tests.flows.test_own_stages import write_job


@pytest.fixture(autouse=True)
def no_prefect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "PREFECT_API_URL", "http://127.0.0.1:9/api")


def test_a_stage_takes_a_few_rows_and_pays_once(tmp_path: Path) -> None:
    with FakeServer(models=("small", "large", "critic")) as server:
        recipe, workspace = str(write_job(tmp_path, server)), str(tmp_path / "ws")
        prompts = [
            {"instruction": "Why is the sky blue?"},
            {"messages": [{"role": "user", "content": "空はなぜ青い?"}]},
        ]
        answers = try_stage(respond, prompts, recipe, workspace=workspace)
        assert {row["prompt_id"] for row in answers["responses"]} == {row["prompt_id"] for row in answers["prompts"]}
        assert {row["model"] for row in answers["responses"]} == {"small", "large"}
        rated = try_stage(judge, answers["prompts"], recipe, workspace=workspace, responses=answers["responses"])
        assert len(rated["ratings"]) == 2 * len(answers["responses"])
        before = server.stats()["calls"]
        again = try_stage(respond, prompts, recipe, workspace=workspace)
        assert server.stats()["calls"] == before
        assert again["responses"] == answers["responses"]
    assert Workspace(Path(workspace)).runs() == []
    assert list(Workspace(Path(workspace)).runs_folder.iterdir()) == []
