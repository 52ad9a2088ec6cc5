"""`kasasagi ledger` as it is typed: what it says, what it leaves alone, and how it ends."""

import json
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import psutil
import pyarrow as pa
import pytest
from click.testing import Result
from typer.testing import CliRunner

from kasasagi.blocks.canonical import digest
from kasasagi.blocks.ledger.store import Ledger, LedgerEntry, LedgerError
from kasasagi.blocks.models.llm import Completion
from kasasagi.blocks.workspace.runs import Run, Workspace
from kasasagi.blocks.workspace.shards import Account, Handle
from kasasagi.flows.cli.app import app
from kasasagi.flows.errors import UsageError
from kasasagi.tasks.tables import table
from tests.test_house import loaded

Typed = Callable[..., Result]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A workspace whose runs `one` and `two` used ten calls each, five of them the same; one call is of nobody."""
    place = Workspace(tmp_path / "ws")
    place.prepare()
    ledger = Ledger(place.ledger_folder)
    ledger.append([LedgerEntry(digest(number), "small", Completion(text="a")) for number in range(16)])
    ledger.close()
    for name, calls in (("one", range(10)), ("two", range(5, 15))):
        run = Run.begin(place, name, name, {"name": name})
        run.save(run.state().model_copy(update={"status": "done"}))
        rows: pa.Table = table("calls", [{"call_id": digest(number), "stage": "respond"} for number in calls])
        shard = place.shards.write(rows)
        run.add(Handle(stage="respond", run=name, shards={"calls": shard}, account=Account()), reused=False)
    return place


@pytest.fixture
def typed(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Typed:
    monkeypatch.setenv("KASASAGI_WORKSPACE", str(workspace.folder))
    return lambda *arguments: CliRunner().invoke(app, ["ledger", *arguments])


def out(result: Result) -> str:
    assert result.exception is None, result.exception
    return result.stdout


def count(workspace: Workspace) -> int:
    with sqlite3.connect(workspace.ledger_folder / "ledger.sqlite") as connection:
        return int(connection.execute("SELECT count(*) FROM entries").fetchone()[0])


def go_on(workspace: Workspace, models: list[str] | None) -> None:
    """Keep a run active in this very process."""
    run = Run.begin(workspace, "live", "live", {"name": "live"})
    state = run.state()
    run.save(state.model_copy(update={"pid": os.getpid(), "pid_started": psutil.Process().create_time()}))
    if models is not None:
        run.record_models(models)


def test_statistics_are_shown_and_printed_as_json(typed: Typed) -> None:
    assert "16 entries in" in out(typed())
    assert json.loads(out(typed("--json")))["models"][0]["answers"] == 16


def test_a_run_is_pruned_of_what_it_alone_used(typed: Typed, workspace: Workspace) -> None:
    assert "5 entries" in out(typed("prune", "--run", "one", "--dry-run"))
    assert count(workspace) == 16
    output = out(typed("prune", "--run", "one"))
    assert "removed 5 entries" in output
    ledger = Ledger(workspace.ledger_folder)
    assert set(ledger.known([digest(number) for number in range(16)])) == {digest(number) for number in range(5, 16)}
    ledger.close()
    assert "0 entries" in out(typed("prune", "--run", "one"))


def test_a_run_without_rivals_is_pruned_whole(typed: Typed, workspace: Workspace) -> None:
    (workspace.runs_folder / "two" / "run.json").unlink()
    assert "10 entries" in out(typed("prune", "--run", "latest"))


def test_age_alone_and_age_with_a_run(typed: Typed, workspace: Workspace) -> None:
    assert "0 entries" in out(typed("prune", "--older-than", "1d"))
    with sqlite3.connect(workspace.ledger_folder / "ledger.sqlite") as connection:
        connection.execute("UPDATE entries SET at = at - 2 * 86400 WHERE id <= 3")
    assert "3 entries" in out(typed("prune", "--older-than", "1d", "--run", "one", "--dry-run"))
    assert "3 entries" in out(typed("prune", "--older-than", "36h"))
    assert count(workspace) == 13


@pytest.mark.parametrize(("models", "left"), [(["small"], 16), (None, 16), (["large"], 0)])
def test_what_a_running_run_may_need_stays(
    typed: Typed, workspace: Workspace, models: list[str] | None, left: int
) -> None:
    go_on(workspace, models)
    output = out(typed("prune", "--older-than", "0s"))
    assert count(workspace) == left
    assert ("left 16 entries" in output) is (left == 16)


@pytest.mark.parametrize("arguments", [(), ("--older-than", "soon"), ("--older-than", "-1d"), ("--older-than", "1")])
def test_what_names_nothing_to_prune_is_wrong_usage(
    typed: Typed, workspace: Workspace, arguments: tuple[str, ...]
) -> None:
    assert isinstance(typed("prune", *arguments).exception, UsageError)
    assert count(workspace) == 16


def test_compact_says_how_much_room_it_gave_back(typed: Typed) -> None:
    assert "takes" in out(typed("compact"))


def test_check_ends_with_1_until_it_has_repaired(typed: Typed, workspace: Workspace) -> None:
    assert "none is damaged" in out(typed("check"))
    with sqlite3.connect(workspace.ledger_folder / "ledger.sqlite") as connection:
        connection.execute("UPDATE entries SET reply = ? WHERE id = 4", (b'{"text": "b"}',))
    found = typed("check")
    assert found.exit_code == 1
    assert "1 entry damaged" in found.stdout
    assert "--repair" in found.stdout
    assert "removed 1 entry" in out(typed("check", "--repair"))
    assert typed("check").exit_code == 0
    assert count(workspace) == 15


def test_import_takes_over_another_workspace(typed: Typed, workspace: Workspace, tmp_path: Path) -> None:
    other = str(tmp_path / "other")
    assert "16 entries from" in out(typed("import", str(workspace.folder), "-w", other))
    assert "0 entries from" in out(typed("import", str(workspace.folder), "-w", other))
    assert "16 entries in" in out(typed("-w", other))
    (tmp_path / "link").symlink_to(workspace.folder)
    for stranger in (str(workspace.folder), str(tmp_path / "link"), str(tmp_path / "nowhere")):
        assert isinstance(typed("import", stranger).exception, UsageError)


def test_without_a_ledger_every_command_says_so_and_makes_none(typed: Typed, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    for command in ((), ("check",), ("compact",), ("prune", "--older-than", "1d")):
        result = typed(*command, "-w", str(empty))
        assert isinstance(result.exception, LedgerError)
        assert "there is no ledger" in str(result.exception)
    assert not empty.exists()


@pytest.mark.parametrize("arguments", [["ledger"], ["ledger", "check"], ["ledger", "compact"]])
def test_the_ledger_is_cared_for_without_anything_heavy(workspace: Workspace, arguments: list[str]) -> None:
    assert loaded(workspace.folder, *arguments, "-w", str(workspace.folder)) == (0, set())
