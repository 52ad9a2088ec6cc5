"""Where a run may publish: found before anything is paid, without touching what lies there; and many runs at once."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from kasasagi.blocks.destinations.remote_folder import Store
from kasasagi.blocks.workspace.runs import Run, Workspace
from kasasagi.tasks.publish import PublishConfig, PublishError, path_problems, publish, release
from kasasagi.tasks.publish.places.folder_lock import is_locked, locked_folder
from kasasagi.tasks.tables.run_tables import open_tables
from tests.run_example import build_example_run
from tests.tasks.test_publish_folder import pairs_in, put


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """Runs of different sizes, each in a workspace of its own."""
    home = tmp_path_factory.mktemp("workspaces")
    return [build_example_run(home / str(size), prompts=size) for size in (6, 7, 8, 9)]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a recipe's folder, a workspace and a home folder; its folder is the current one."""
    for name in ("project/recipes", "project/state/workspace/runs", "home"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path


def problems(home: Path, path: str) -> list[str]:
    """What is wrong with a path of the project; looking leaves everything as it was."""
    before = sorted(home.rglob("*"))
    place = Workspace(home / "project" / "state" / "workspace")
    found = path_problems(PublishConfig(path=path), place, home / "project" / "recipes")
    assert sorted(home.rglob("*")) == before
    return found


@pytest.mark.parametrize("path", [".", "./", "..", "../..", "/", "~", "~/", "file:///", "./.", "  ", " /.. "])
def test_a_path_that_names_no_folder_of_its_own_is_refused_as_it_is_read(path: str) -> None:
    with pytest.raises(ValidationError, match=r"names no folder of its own.*write one such as out/my-dataset"):
        PublishConfig(path=path)


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("../project", "is the current folder"),
        ("../../{}", "holds the current folder"),
        ("state/workspace", "is the workspace"),
        ("state", "holds the workspace"),
        ("recipes", "is the recipe's folder"),
        ("recipes/../recipes/", "is the recipe's folder"),
        ("../home", "is the home folder"),
        ("link", "is the workspace"),
        ("state/workspace/runs", "which is the workspace's own"),
        ("state/workspace/shards/mine", "which is the workspace's own"),
    ],
)
def test_a_folder_that_holds_more_than_a_dataset_is_refused(home: Path, path: str, what: str) -> None:
    Path("link").symlink_to(home / "project" / "state" / "workspace")
    [problem] = problems(home, path.format(home.name))
    assert what in problem
    assert problem.startswith("publish.path: ")
    assert "name a folder" in problem


@pytest.mark.parametrize("path", ["out", "out/deep/er", "state/out", "state/workspace/out", "recipes/out", "~/out"])
def test_any_other_folder_will_do_and_looking_makes_none(home: Path, path: str) -> None:
    assert problems(home, path) == []


def test_a_folder_that_cannot_be_written_is_found_and_named(home: Path) -> None:
    Path("file").write_text("no folder")
    assert "cannot be written" in problems(home, "file/out")[0]
    assert "is a file" in problems(home, "file")[0]
    assert "cannot be written" in problems(home, "o" * 250)[0]  # the hidden name beside it is too long
    assert problems(home, "/proc/out")[0].startswith("publish.path: /proc/out cannot be written")


def test_a_path_that_no_folder_can_have_is_found_and_named(home: Path) -> None:
    Path("loop").symlink_to("loop")
    for path in ("loop", "loop/out", "out\0x", "~nobody-of-this-name/out"):
        [problem] = problems(home, path)
        assert problem.startswith("publish.path: ")
        assert path.split("\0")[0] in problem
        assert "another path" in problem or "name another" in problem


@pytest.mark.parametrize("path", ["$HOME/out", "out/${USER}", "s3://$BUCKET/out"])
def test_a_variable_in_a_path_is_refused_as_it_is_read(path: str) -> None:
    with pytest.raises(ValidationError, match="environment variables are not expanded; write the path"):
        PublishConfig(path=path)
    assert PublishConfig(path="out/5$").path == "out/5$"


def test_a_mount_point_is_found_and_a_folder_in_it_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("mounted").mkdir()
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path).name == "mounted")
    assert f"name a folder in it, as {Path('mounted').resolve() / 'out'}" in problems(home, "mounted")[0]


def test_an_address_that_cannot_be_written_is_found_and_a_good_one_left_as_it_is(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"memory://{home.name}/out"
    assert problems(home, address) == []
    assert Store(address).names() == []
    Store(address).write("thesis.tex", b"mine")
    assert "thesis.tex" in problems(home, address)[0]
    assert "does not know" in problems(home, "nowhere://bucket/out")[0]

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "read only")

    monkeypatch.setattr(Store(f"{address}/2")._system.__class__, "pipe_file", refuse)
    assert "cannot be written" in problems(home, f"{address}/2")[0]


def test_publishing_itself_refuses_them_too(runs: list[Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with open_tables(runs[0]) as connection, pytest.raises(PublishError, match="is the current folder"):
        release(PublishConfig(path=f"../{tmp_path.name}"), runs[0], connection)
    assert os.listdir(tmp_path) == []


MINE = ["notes.md", "dataset/notes.md", "dataset/deep/er.txt", "kto/mine.parquet", "figures/plot.png", "a.arrow"]


@settings(max_examples=12, deadline=None)
@given(names=st.sets(st.sampled_from(MINE), min_size=1))
def test_no_file_of_a_persons_own_is_lost(
    runs: list[Run], tmp_path_factory: pytest.TempPathFactory, names: set[str]
) -> None:
    target = tmp_path_factory.mktemp("own") / "out"
    with open_tables(runs[0]) as connection:
        publish(PublishConfig(formats=("trl", "kto")), runs[0], connection, target)
    for name in names:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_text("mine")
    with pytest.raises(PublishError, match="did not publish there") as caught:
        put(runs[1], target)
    assert any(name in str(caught.value) for name in names)
    assert {(target / name).read_text() for name in names} == {"mine"}


def test_a_card_that_a_person_edited_is_not_lost(runs: list[Run], tmp_path: Path) -> None:
    put(runs[0], tmp_path / "out")
    card = tmp_path / "out" / "README.md"
    text = card.read_text(encoding="utf-8")
    card.write_text(text.replace("## How", "## HOW"), encoding="utf-8")
    with pytest.raises(PublishError, match=r"changed since they were published \(README\.md\)"):
        put(runs[1], tmp_path / "out")
    card.write_text(f"{text}\nMy own words.\n", encoding="utf-8")
    with pytest.raises(PublishError, match=r"README\.md"):
        put(runs[1], tmp_path / "out")
    card.write_text(text, encoding="utf-8")
    put(runs[1], tmp_path / "out")


def test_a_file_that_comes_while_the_next_one_is_built_is_not_lost(
    runs: list[Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(runs[0], tmp_path / "out")
    sync = "kasasagi.tasks.publish.places.folder._sync_tree"
    monkeypatch.setattr(sync, lambda folder: (tmp_path / "out" / "dataset" / "new.txt").write_text("mine"))
    with pytest.raises(PublishError, match=r"dataset/new\.txt"):
        put(runs[1], tmp_path / "out")
    assert (tmp_path / "out" / "dataset" / "new.txt").read_text() == "mine"
    assert os.listdir(tmp_path) == ["out"]


def test_runs_of_several_workspaces_that_publish_to_one_path_at_once_end_well(runs: list[Run], tmp_path: Path) -> None:
    target, rounds = tmp_path / "new" / "out", 3
    together = Barrier(len(runs))

    def again(run: Run) -> None:
        for _ in range(rounds):
            together.wait()
            put(run, target)

    with ThreadPoolExecutor(len(runs)) as pool:
        list(pool.map(again, runs))
    assert os.listdir(target.parent) == ["out"]
    assert json.loads((target / "manifest.json").read_text())["run"] in {run.id for run in runs}
    assert pairs_in(target) in {3, 4, 5, 6}


def test_a_half_built_folder_of_this_process_goes_unless_it_is_still_built(runs: list[Run], tmp_path: Path) -> None:
    left, building = (tmp_path / f".out.kasasagi-new-{os.getpid()}-{name}" for name in ("left", "building"))
    left.mkdir()
    building.mkdir()
    with locked_folder(building):
        assert is_locked(building)
        put(runs[0], tmp_path / "out")
        assert sorted(os.listdir(tmp_path)) == [building.name, "out"]
    put(runs[0], tmp_path / "out")
    assert os.listdir(tmp_path) == ["out"]
