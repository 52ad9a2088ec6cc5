"""What an earlier version wrote is still good: a run of it pays for new words alone, and the commands work on it.

The workspace was written by `python -m tests.golden.write workspace`. Do not write it again to make a test pass: users
have such workspaces.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from kasasagi.blocks.workspace.runs import Run, Workspace
from kasasagi.flows.cli.app import app
from tests.fake_server import FakeServer
from tests.golden import expected, job, workspace

Typed = Callable[..., str]
HIGHER = ("respond.sampling.max_tokens=2048", "judge.sampling.max_tokens=4096", "tags.sampling.max_tokens=700")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The old job in a folder of its own."""
    workspace.unpack(tmp_path / "old")
    return tmp_path / "old"


@pytest.fixture
def typed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Typed:
    """Type a command on the old run and return what it prints."""
    monkeypatch.setenv("KASASAGI_WORKSPACE", str(folder / "ws"))
    monkeypatch.setenv("COLUMNS", "160")

    def typed(*arguments: str) -> str:
        result = CliRunner().invoke(app, list(arguments))
        assert result.exit_code == 0, (result.exception, result.output)
        return result.stdout

    return typed


def old_run() -> str:
    return str(expected.read("workspace")["run"])


def calls_of(folder: Path, run: str) -> list[dict[str, Any]]:
    workspace = Workspace(folder)
    shards = [one.handle.shards.get("calls") for one in Run(workspace, run).handles()]
    return [call for shard in shards if shard is not None for call in workspace.shards.read(shard).to_pylist()]


@pytest.mark.parametrize("lost", ["nothing", "results"])
def test_a_run_pays_for_its_judge_alone(folder: Path, server: FakeServer, lost: str) -> None:
    """The judge is asked with another prompt since then; all other answers are found.

    Also where no chunk is found under its cache key any more, so that the ledger alone has the answers.
    """
    shutil.rmtree(folder / "ws" / lost, ignore_errors=True)
    before = server.stats()["calls"]
    result = job.run(folder / "recipe.yaml", *job.at(server.base_url))
    assert result.state.status == "done"
    stages = result.tables["stages"]
    paid = dict(zip(stages["stage"], stages["calls_paid"], strict=True))
    assert {stage for stage, calls in paid.items() if calls} == {"judge"}
    assert server.stats()["calls"] - before == paid["judge"] > 0
    assert job.published(folder / "out").keys() == expected.read("workspace")["published"].keys()
    assert len(Workspace(folder / "ws").runs()) == 2


def test_higher_limits_ask_again_what_was_cut_off_alone(folder: Path, server: FakeServer) -> None:
    """Though the version that wrote the ledger has not recorded with which limits its entries were asked for.

    The judge is asked with another prompt since then.
    """
    [cut] = [call for call in calls_of(folder / "ws", old_run()) if call["finish_reason"] == "length"]
    before = server.stats()["calls"]
    calls = job.run(folder / "recipe.yaml", *job.at(server.base_url), *HIGHER).tables["calls"]
    sent = calls[~calls["reused"]]
    assert server.stats()["calls"] - before == len(sent)
    assert set(sent["stage"]) == {cut["stage"], "judge"}
    [longer] = sent[sent["stage"] == cut["stage"]].to_dict("records")
    texts = [json.loads(call["request"])["messages"] for call in (cut, longer)]
    assert texts[0] == texts[1]


def test_the_old_run_is_shown(typed: Typed) -> None:
    pairs = expected.read("workspace")["pairs"]
    assert old_run() in typed("runs")
    assert "respond" in typed("show", old_run())
    found = typed("sql", old_run(), "SELECT count(*) AS pairs FROM pairs", "--format", "jsonl")
    assert json.loads(found) == {"pairs": pairs}


def test_the_old_run_is_paired_and_published_again(typed: Typed, folder: Path) -> None:
    typed("publish", old_run(), "--path", str(folder / "again"))
    assert job.published(folder / "again") == expected.read("workspace")["published"]
    typed("pair", old_run(), "--set", "pairs.min_margin=3")
    [wide] = [run.run for run in Workspace(folder / "ws").runs() if run.run != old_run()]
    found = json.loads(typed("sql", wide, "SELECT min(margin) AS least, count(*) AS n FROM pairs", "--format", "jsonl"))
    assert found["least"] >= 3
    assert 0 < found["n"] < expected.read("workspace")["pairs"]
