"""The published folder: replaced whole or not at all, whatever goes wrong, and never somebody else's."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kasasagi.blocks.workspace.runs import Run
from kasasagi.tasks.publish import PublishConfig, PublishError, publish, recover
from kasasagi.tasks.publish import job as job_module
from kasasagi.tasks.publish import manifest as manifest_module
from kasasagi.tasks.publish.places import folder
from kasasagi.tasks.tables.run_tables import open_tables
from tests import run_example
from tests.run_example import build_example_run


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """An earlier run of 3 pairs and a later one of 5."""
    home = tmp_path_factory.mktemp("workspaces")
    return {name: build_example_run(home / name, prompts=size) for name, size in (("earlier", 6), ("later", 8))}


def put(run: Run, target: Path) -> None:
    with open_tables(run) as connection:
        publish(PublishConfig(), run, connection, target)


def pairs_in(target: Path) -> int:
    """How many pairs lie there; all files must agree with the manifest."""
    manifest = json.loads((target / "manifest.json").read_bytes())
    assert sorted(manifest["files"]) == sorted(
        str(path.relative_to(target)) for path in target.rglob("*") if path.is_file() and path.name != "manifest.json"
    )
    for name, described in manifest["files"].items():
        assert (target / name).stat().st_size == described["bytes"]
    assert len((target / "train.jsonl").read_bytes().splitlines()) == manifest["rows"]
    return int(manifest["rows"])


def test_publishing_again_replaces_the_earlier_one(runs: dict[str, Run], tmp_path: Path) -> None:
    target = tmp_path / "new" / "parents" / "out"
    put(runs["earlier"], target)
    put(runs["later"], target)
    assert pairs_in(target) == 5
    assert os.listdir(target.parent) == ["out"]


def failing_at(number: int, real: Callable[..., Any], error: BaseException) -> Callable[..., Any]:
    """A function that fails from its call of that number on."""
    calls = 0

    def call(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls >= number:
            raise error
        return real(*arguments, **named)

    return call


@pytest.mark.parametrize(("earlier", "number"), [(True, 1), (True, 2), (False, 1)])
@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), KeyboardInterrupt()])
def test_a_failing_rename_loses_nothing(
    runs: dict[str, Run],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    error: BaseException,
    earlier: bool,
) -> None:
    if earlier:
        put(runs["earlier"], tmp_path / "out")
    with monkeypatch.context() as patch:
        patch.setattr(folder.os, "rename", failing_at(number, os.rename, error))
        with pytest.raises(PublishError if isinstance(error, OSError) else KeyboardInterrupt):
            put(runs["later"], tmp_path / "out")
    recover(tmp_path / "out")
    assert os.listdir(tmp_path) == (["out"] if earlier else [])
    if earlier:
        assert pairs_in(tmp_path / "out") == 3
    put(runs["later"], tmp_path / "out")
    assert pairs_in(tmp_path / "out") == 5
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("place", ["card", "write_manifest", "digest_file"])
@pytest.mark.parametrize("number", [1, 2])
def test_a_failure_while_writing_leaves_the_earlier_one(
    runs: dict[str, Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, number: int
) -> None:
    put(runs["earlier"], tmp_path / "out")
    module = manifest_module if place == "digest_file" else job_module
    real = getattr(module, place)
    with monkeypatch.context() as patch:
        patch.setattr(module, place, failing_at(number, real, OSError(28, "No space left on device")))
        if number == 2 and place != "digest_file":
            put(runs["later"], tmp_path / "other")
        with pytest.raises(PublishError, match="No space left on device"):
            put(runs["later"], tmp_path / "out")
    assert pairs_in(tmp_path / "out") == 3
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]


KILLED = """
import os, signal, sys
from pathlib import Path
from kasasagi.tasks.publish.places import folder
from kasasagi.tasks.tables.run_tables import open_tables
from kasasagi.blocks.workspace.runs import Workspace
from kasasagi.tasks.publish import PublishConfig, publish

run, target, moment = Workspace(Path(sys.argv[1])).run(), Path(sys.argv[2]), sys.argv[3]
real_rename, real_sync = os.rename, folder._sync_tree
renames = 0

def rename(*names):
    global renames
    renames += 1
    if moment == f"before rename {renames}":
        os.kill(os.getpid(), signal.SIGKILL)
    real_rename(*names)

def sync(path):
    if moment == "before sync":
        os.kill(os.getpid(), signal.SIGKILL)
    real_sync(path)

def remove(path, ignore_errors=False):
    os.kill(os.getpid(), signal.SIGKILL)

folder.os.rename, folder._sync_tree = rename, sync
if moment == "before removal":
    folder.shutil.rmtree = remove
publish(PublishConfig(), run, open_tables(run), target)
"""


def kill(run: Run, target: Path, moment: str) -> None:
    """Publish in another process, which is killed at that moment."""
    command = [sys.executable, "-c", KILLED, str(run.workspace.folder), str(target), moment]
    assert subprocess.run(command, check=False).returncode == -9


@pytest.mark.parametrize(
    ("moment", "pairs"), [("before sync", 3), ("before rename 1", 3), ("before rename 2", 3), ("before removal", 5)]
)
def test_a_kill_loses_nothing(runs: dict[str, Run], tmp_path: Path, moment: str, pairs: int) -> None:
    put(runs["earlier"], tmp_path / "out")
    kill(runs["later"], tmp_path / "out", moment)
    recover(tmp_path / "out")
    assert pairs_in(tmp_path / "out") == pairs
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("meanwhile", ["nothing", "an empty folder"])
def test_publishing_after_a_kill_needs_no_repair(runs: dict[str, Run], tmp_path: Path, meanwhile: str) -> None:
    put(runs["earlier"], tmp_path / "out")
    kill(runs["later"], tmp_path / "out", "before rename 2")
    assert not (tmp_path / "out").exists()
    if meanwhile == "an empty folder":
        (tmp_path / "out").mkdir()
    put(runs["later"], tmp_path / "out")
    assert pairs_in(tmp_path / "out") == 5
    assert os.listdir(tmp_path) == ["out"]


def test_what_came_meanwhile_does_not_cost_the_earlier_one(runs: dict[str, Run], tmp_path: Path) -> None:
    put(runs["earlier"], tmp_path / "out")
    kill(runs["later"], tmp_path / "out", "before rename 2")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.md").write_text("mine")
    with pytest.raises(PublishError, match=r"notes\.md"):
        put(runs["later"], tmp_path / "out")
    (tmp_path / "out" / "notes.md").rename(tmp_path / "notes.md")
    recover(tmp_path / "out")
    assert pairs_in(tmp_path / "out") == 3


def test_a_folder_of_somebody_else_is_left_alone(runs: dict[str, Run], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("years of work")
    with pytest.raises(PublishError, match=r"thesis\.tex.*name another path"):
        put(runs["later"], tmp_path / "out")
    assert (tmp_path / "out" / "thesis.tex").read_text() == "years of work"
    assert os.listdir(tmp_path) == ["out"]


def test_files_added_to_a_published_folder_are_not_removed(runs: dict[str, Run], tmp_path: Path) -> None:
    put(runs["earlier"], tmp_path / "out")
    (tmp_path / "out" / "notes.md").write_text("mine")
    with pytest.raises(PublishError, match=r"notes\.md"):
        put(runs["later"], tmp_path / "out")
    assert (tmp_path / "out" / "notes.md").read_text() == "mine"


def test_caches_that_a_reader_left_do_not_stand_in_the_way(runs: dict[str, Run], tmp_path: Path) -> None:
    put(runs["earlier"], tmp_path / "out")
    (tmp_path / "out" / "dataset" / "cache-1234.arrow").write_bytes(b"cached")
    put(runs["later"], tmp_path / "out")
    assert pairs_in(tmp_path / "out") == 5


def test_an_empty_folder_is_filled_and_a_file_is_refused(runs: dict[str, Run], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    put(runs["later"], tmp_path / "out")
    assert pairs_in(tmp_path / "out") == 5
    (tmp_path / "file").write_text("data")
    with pytest.raises(PublishError, match="is a file"):
        put(runs["later"], tmp_path / "file")
    assert (tmp_path / "file").read_text() == "data"


def test_a_link_to_a_folder_stays_a_link(runs: dict[str, Run], tmp_path: Path) -> None:
    put(runs["earlier"], tmp_path / "real")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    put(runs["later"], tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert pairs_in(tmp_path / "real") == 5


def test_a_target_that_cannot_be_written_gives_one_sentence(runs: dict[str, Run], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(PublishError) as caught:
        put(runs["later"], tmp_path / "file" / "out")
    assert "cannot be written" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_read_only_file_system_gives_one_sentence(
    runs: dict[str, Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder.Path, "mkdir", failing_at(1, Path.mkdir, OSError(30, "Read-only file system")))
    with pytest.raises(PublishError, match="cannot be written \\(Read-only file system\\)") as caught:
        put(runs["later"], tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == []


def test_the_folder_is_as_readable_as_any_other(runs: dict[str, Run], tmp_path: Path) -> None:
    put(runs["later"], tmp_path / "out")
    (tmp_path / "plain").mkdir()
    assert (tmp_path / "out").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_half_built_folder_of_a_living_process_stays(runs: dict[str, Run], tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        (tmp_path / f".out.kasasagi-new-{other.pid}-abc").mkdir()
        put(runs["later"], tmp_path / "out")
        assert (tmp_path / f".out.kasasagi-new-{other.pid}-abc").exists()
        other.communicate(b"\n")
    put(runs["later"], tmp_path / "out")
    assert os.listdir(tmp_path) == ["out"]
    shutil.rmtree(tmp_path / "out")


def test_responses_of_a_megabyte_are_written_and_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = {"en": ("Short.", "long " * 200_000), "ja": ("短い。", "長い" * 200_000)}
    monkeypatch.setattr(run_example, "ANSWERS", long)
    run = run_example.build_example_run(tmp_path / "workspace", prompts=60)
    with open_tables(run) as connection:
        assert publish(PublishConfig(), run, connection, tmp_path / "out").rows == 57
