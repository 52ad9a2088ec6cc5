"""Pushing to the Hub, with its own client and a small Hub of ours: one commit, private, or nothing at all."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from pydantic import ValidationError

from kasasagi.blocks.workspace.runs import Run
from kasasagi.tasks.publish import PublishConfig, PublishError, Release, release
from kasasagi.tasks.publish.card.figures import CardFigures
from kasasagi.tasks.publish.card.plots import draw_plots
from kasasagi.tasks.tables.run_tables import open_tables
from tests.fake_hub import FakeHub, Repository
from tests.run_example import build_example_run

TOKEN = "hf_a-token-that-may-write"
REPO = "birds/magpie-pairs"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return build_example_run(tmp_path_factory.mktemp("workspace"), prompts=9)


@pytest.fixture(scope="module")
def later(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that gives nine pairs, not six."""
    return build_example_run(tmp_path_factory.mktemp("later"), prompts=12)


@pytest.fixture(scope="module", autouse=True)
def equal_plots_are_drawn_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Copy the plots of figures that were drawn before: equal figures give equal files."""
    drawn: dict[str, tuple[Path, dict[str, str]]] = {}

    def draw(figures: CardFigures, folder: Path) -> dict[str, str]:
        if str(figures) not in drawn:
            home = tmp_path_factory.mktemp("drawn")
            drawn[str(figures)] = home, draw_plots(figures, home)
        home, captions = drawn[str(figures)]
        shutil.copytree(home, folder, dirs_exist_ok=True)
        return captions

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kasasagi.tasks.publish.job.draw_plots", draw)
        yield


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with FakeHub(TOKEN).serving() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        yield hub


def pushed(run: Run, **settings: Any) -> Release:
    hub = {"repo": REPO, **settings.pop("hub", {})}
    with open_tables(run) as connection:
        return release(PublishConfig.model_validate({"hub": hub, **settings}), run, connection)


def rows_in(hub: FakeHub, branch: str = "main") -> int:
    content = hub.repositories[REPO].files(branch)["train.parquet"]
    return int(pq.read_table(pa.BufferReader(content)).num_rows)


def test_a_push_makes_a_private_repository_that_holds_the_dataset(run: Run, hub: FakeHub) -> None:
    result = pushed(run)
    repository = hub.repositories[REPO]
    assert repository.private
    assert result.hub == f"{hub.address}/datasets/{REPO}"
    assert result.path is None
    assert rows_in(hub) == result.rows == 6
    assert {"README.md", "manifest.json", "train.jsonl", "dataset/data-00000-of-00001.arrow"} <= set(repository.files())
    assert [commit.message for commit in repository.branches["main"]][1:] == [
        f"6 pairs of the run {run.id} (digest {result.digest})"
    ]
    assert run.state().hub == result.hub


def test_the_card_tells_licences_and_how_to_load_it_from_the_hub(run: Run, hub: FakeHub) -> None:
    pushed(run, license="cc-by-4.0", licenses={"small": "llama3.1", "source": "cc0-1.0"})
    card = hub.repositories[REPO].files()["README.md"].decode()
    assert yaml.safe_load(card.split("---\n")[1])["license"] == "cc-by-4.0"
    assert f'load_dataset("{REPO}", split="train")' in card
    assert "| small | small | llama3.1 |" in card
    assert "| large | large | unknown |" in card
    assert "| source | prompts of prompts.jsonl | cc0-1.0 |" in card


def test_the_card_shows_plots_that_lie_beside_it_and_a_folder_s_card_is_plain(
    run: Run, hub: FakeHub, tmp_path: Path
) -> None:
    pushed(run)
    files = hub.repositories[REPO].files()
    named = re.findall(r"^!\[[^\]]+\]\(([^)]+)\)$", files["README.md"].decode(), re.MULTILINE)
    assert named == ["figures/ratings.png", "figures/margins.png", "figures/lengths.png"]
    assert all(files[name].startswith(b"\x89PNG") for name in named)
    assert set(named) <= set(json.loads(files["manifest.json"])["files"])
    with open_tables(run) as connection:
        release(PublishConfig(path=str(tmp_path / "plain")), run, connection)
    assert not (tmp_path / "plain" / "figures").exists()
    assert "![" not in (tmp_path / "plain" / "README.md").read_text()


def test_the_client_reads_what_was_pushed(run: Run, hub: FakeHub, tmp_path: Path) -> None:
    from huggingface_hub import HfApi

    pushed(run)
    file = HfApi(endpoint=hub.address, token=TOKEN).hf_hub_download(
        REPO, "train.parquet", repo_type="dataset", local_dir=tmp_path / "got"
    )
    assert pq.read_table(file).num_rows == 6


def test_a_revision_is_a_branch_of_its_own(run: Run, hub: FakeHub) -> None:
    pushed(run)
    result = pushed(run, hub={"revision": "v2"}, formats=["trl", "sft"])
    repository = hub.repositories[REPO]
    assert result.hub == f"{hub.address}/datasets/{REPO}/tree/v2"
    assert "sft/train.parquet" in repository.files("v2")
    assert "sft/train.parquet" not in repository.files("main")
    assert 'revision="v2"' in repository.files("v2")["README.md"].decode()


def test_pushing_again_replaces_what_was_pushed_and_removes_what_is_no_longer_part_of_it(
    run: Run, later: Run, hub: FakeHub
) -> None:
    pushed(run, formats=["trl", "sft"])
    pushed(later)
    assert rows_in(hub) == 9
    assert not [name for name in hub.repositories[REPO].files() if name.startswith("sft/")]
    assert ".gitattributes" in hub.repositories[REPO].files()


def test_a_folder_and_the_hub_get_the_same_dataset(run: Run, hub: FakeHub, tmp_path: Path) -> None:
    result = pushed(run, path=str(tmp_path / "out"))
    assert result.places == [str(tmp_path / "out"), f"{hub.address}/datasets/{REPO}"]
    for name in ("train.jsonl", "README.md", "manifest.json"):
        assert hub.repositories[REPO].files()[name] == (tmp_path / "out" / name).read_bytes()


def test_a_public_repository_is_refused_unless_the_recipe_wants_it_public(run: Run, hub: FakeHub) -> None:
    hub.repositories[REPO] = Repository(private=False)
    hub.repositories[REPO].add("main", {}, "made by hand")
    with pytest.raises(PublishError, match=r"is public and publish\.hub\.private is true"):
        pushed(run)
    assert hub.repositories[REPO].files() == {}
    pushed(run, hub={"private": False})
    assert rows_in(hub) == 6
    assert not hub.repositories[REPO].private


@pytest.mark.parametrize("there", [{"thesis.tex": b"years"}, {"thesis.tex": b"years", "manifest.json": b"{}"}])
def test_a_repository_of_somebody_else_is_left_alone(run: Run, hub: FakeHub, there: dict[str, bytes]) -> None:
    hub.repositories[REPO] = Repository(private=True)
    hub.repositories[REPO].add("main", there, "mine")
    with pytest.raises(PublishError, match=r"thesis\.tex.*nothing is pushed"):
        pushed(run)
    assert hub.repositories[REPO].files() == there


@pytest.mark.parametrize(
    ("part", "status"),
    [
        ("repos/create", 403),
        ("preupload", 500),
        ("info/lfs", 403),
        ("/lfs/", 500),
        ("/commit/", 500),
        ("/commit/", 403),
    ],
)
def test_a_push_that_fails_anywhere_leaves_the_repository_as_it_was(
    run: Run, later: Run, hub: FakeHub, part: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub.utils import _http

    monkeypatch.setattr(_http.time, "sleep", lambda seconds: None)
    pushed(run)
    before = hub.repositories[REPO].files()
    hub.failing[part] = status
    with pytest.raises(PublishError, match="nothing was pushed") as caught:
        pushed(later)
    assert "\n" not in str(caught.value)
    assert TOKEN not in str(caught.value)
    assert hub.repositories[REPO].files() == before
    hub.failing.clear()
    pushed(later)
    assert rows_in(hub) == 9


def test_somebody_elses_commit_meanwhile_is_not_overwritten(run: Run, hub: FakeHub) -> None:
    hub.before_commit = lambda repository: repository.add("main", {"notes.md": b"mine"}, "meanwhile")
    with pytest.raises(PublishError, match="it was changed by another process"):
        pushed(run)
    assert hub.repositories[REPO].files() == {"notes.md": b"mine"}


def test_a_failed_push_says_where_the_dataset_lies_all_the_same(run: Run, hub: FakeHub, tmp_path: Path) -> None:
    hub.failing["/commit/"] = 403
    with pytest.raises(PublishError, match=r"the dataset is complete in .*/out"):
        pushed(run, path=str(tmp_path / "out"))
    assert run.state().published == str(tmp_path / "out")
    assert (tmp_path / "out" / "manifest.json").exists()


def test_without_a_token_nothing_is_sent(run: Run, hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(PublishError, match="HF_TOKEN is not set"):
        pushed(run)
    assert hub.asked == []


def test_a_wrong_token_is_said_without_the_token(
    run: Run, hub: FakeHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OTHER_TOKEN", "hf_wrong-token-123")
    with pytest.raises(PublishError, match=r"it answered 401.*use a token that may write") as caught:
        pushed(run, hub={"token_env": "OTHER_TOKEN"})
    assert "hf_wrong-token-123" not in str(caught.value)


def test_the_token_is_written_nowhere(hub: FakeHub, tmp_path: Path) -> None:
    pushed(build_example_run(tmp_path / "workspace"), path=str(tmp_path / "out"))
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) > 10
    assert not [path for path in written if TOKEN.encode() in path.read_bytes()]
    assert not [name for name, content in hub.repositories[REPO].files().items() if TOKEN.encode() in content]


def test_a_hub_that_nobody_answers_for_gives_one_sentence(
    run: Run, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(PublishError, match="nothing was pushed to birds/magpie-pairs") as caught:
        pushed(run)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "problem",
    [
        {"repo": "no-owner"},
        {"repo": "../x/y"},
        {"repo": REPO, "token_env": "hf_abcdefghijklmnop"},
        {"repo": REPO, "x": 1},
    ],
)
def test_a_hub_that_is_none_is_refused(problem: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PublishConfig.model_validate({"hub": problem})
