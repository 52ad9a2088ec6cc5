"""The train and test splits: divided by prompt, permanently, and loaded as two by every reader."""

import json
from pathlib import Path
from typing import Any

import datasets
import duckdb
import pyarrow as pa
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from kasasagi.blocks.workspace.runs import Run
from kasasagi.tasks.publish import PublishConfig, Published, PublishError, publish
from kasasagi.tasks.publish.config import SplitConfig
from kasasagi.tasks.publish.families import Families
from kasasagi.tasks.publish.split_audit import split_audit
from kasasagi.tasks.publish.writer import split_rows
from kasasagi.tasks.tables.run_tables import open_tables
from tests.run_example import build_example_run
from tests.tasks.test_publish_card import writable

FILES = {"parquet": "parquet", "json": "jsonl"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return build_example_run(tmp_path_factory.mktemp("workspace"), prompts=23)


def published(run: Run, target: Path, **settings: Any) -> Published:
    with open_tables(run) as connection:
        return publish(PublishConfig.model_validate({"split": {"test": 0.3}, **settings}), run, connection, target)


def ids(target: Path, split: str) -> list[str]:
    lines = (target / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["prompt_id"] for line in lines]


@pytest.mark.parametrize("name", ["trl", "kto", "llama_factory"])
def test_every_reader_finds_both_splits_with_the_same_rows(run: Run, tmp_path: Path, name: str) -> None:
    target = tmp_path / "out"
    result = published(run, target, formats=[name])
    saved = datasets.load_from_disk(str(target / "dataset"))
    folder = datasets.load_dataset(str(target), cache_dir=str(tmp_path / "cache"))
    for split in ("train", "test"):
        rows = saved[split].to_list()
        assert rows
        assert saved[split].split == split
        assert folder[split].to_list() == rows
        for kind, ending in FILES.items():
            files = str(target / f"{split}.{ending}")
            one = datasets.load_dataset(kind, data_files=files, split="train", cache_dir=str(tmp_path / "cache"))
            assert one.to_list() == rows
    assert result.rows == len({row["prompt_id"] for split in saved.values() for row in split}) == 20


def test_no_prompt_is_on_both_sides_and_none_is_lost(run: Run, tmp_path: Path) -> None:
    published(run, tmp_path / "out")
    published(run, tmp_path / "whole", split=None)
    train, test = (ids(tmp_path / "out", split) for split in ("train", "test"))
    assert not set(train) & set(test)
    assert sorted(train + test) == ids(tmp_path / "whole", "train")


def test_all_formats_are_divided_alike_and_the_manifest_counts_them(run: Run, tmp_path: Path) -> None:
    published(run, tmp_path / "out", formats=["trl", "sft", "kto"])
    for split in ("train", "test"):
        wanted = ids(tmp_path / "out", split)
        assert ids(tmp_path / "out" / "sft", split) == wanted
        assert set(ids(tmp_path / "out" / "kto", split)) == set(wanted)
    counts = json.loads((tmp_path / "out" / "manifest.json").read_bytes())["splits"]
    assert counts["trl"] == {split: len(ids(tmp_path / "out", split)) for split in ("train", "test")}
    assert counts["kto"] == {split: 2 * count for split, count in counts["trl"].items()}


def test_publishing_with_and_without_a_split_replaces_the_other_whole(run: Run, tmp_path: Path) -> None:
    published(run, tmp_path / "out", formats=["trl", "llama_factory"])
    published(run, tmp_path / "out", split=None)
    assert not list((tmp_path / "out").rglob("*test*"))
    assert datasets.load_from_disk(str(tmp_path / "out" / "dataset")).num_rows == 20
    published(run, tmp_path / "out")
    assert set(datasets.load_from_disk(str(tmp_path / "out" / "dataset"))) == {"train", "test"}


def test_the_card_tells_of_both_splits_and_loads_the_training_one(run: Run, tmp_path: Path) -> None:
    published(run, tmp_path / "out", formats=["trl", "llama_factory"])
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    header = yaml.safe_load(card.split("---\n")[1])
    assert [entry["path"] for entry in header["configs"][0]["data_files"]] == ["train.parquet", "test.parquet"]
    assert 'load_from_disk("path/to/this/folder/dataset")["train"]' in card
    counts = {split: len(ids(tmp_path / "out", split)) for split in ("train", "test")}
    assert f"| trl | {counts['train']} | {counts['test']} |" in card
    entries = json.loads((tmp_path / "out" / "llama_factory" / "dataset_info.json").read_bytes())
    assert {name: entry["file_name"] for name, entry in entries.items()} == {
        "kasasagi": "train.jsonl",
        "kasasagi_test": "test.jsonl",
    }


def test_the_card_counts_test_prompts_that_are_like_training_prompts(run: Run, tmp_path: Path) -> None:
    with writable(run) as connection:
        same = "[{'role': 'user', 'content': 'Which birds build a bridge for the stars in summer?'}]"
        connection.execute(f"UPDATE prompts SET messages = {same}")
        config = PublishConfig.model_validate({"split": {"test": 0.3}})
        publish(config, run, connection, tmp_path / "out")
        found = split_audit(config, run, connection)
        assert split_audit(PublishConfig(), run, connection) is None
    test, train = (len(ids(tmp_path / "out", split)) for split in ("test", "train"))
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert f"Of {test} test prompts, {test} (100.0%) have a near duplicate among the {train} training prompts" in card
    assert found is not None
    assert (found.tested, found.train, found.near) == (test, train, test)


def test_a_split_without_rows_publishes_nothing(run: Run, tmp_path: Path) -> None:
    with pytest.raises(PublishError, match="none belongs to the split test"):
        published(run, tmp_path / "out", split={"test": 1e-9})
    assert list(tmp_path.iterdir()) == []


def sides(prompts: list[str], **settings: Any) -> dict[str, str]:
    rows = pa.table({"prompt_id": pa.array(prompts, pa.string())})
    with duckdb.connect() as connection:
        families = Families(connection, PublishConfig(), rewritten=False)
        parts = split_rows(rows, families, SplitConfig(**settings))
    return {name: split for split, part in parts.items() for name in part["prompt_id"].to_pylist()}


PROMPTS = st.lists(st.text(max_size=8), unique=True, max_size=30)
SHARES = st.floats(0, 1, exclude_min=True, exclude_max=True)


@given(PROMPTS, PROMPTS, SHARES, SHARES, st.integers(0, 5))
def test_a_prompt_stays_on_its_side_when_rows_come_or_the_share_grows(
    some: list[str], more: list[str], share: float, other: float, seed: int
) -> None:
    before = sides(some, test=share, seed=seed)
    after = sides([*more, *(name for name in some if name not in more)], test=share, seed=seed)
    assert {name: after[name] for name in some} == before
    small, large = sorted((share, other))
    assert {name for name, side in sides(some, test=small).items() if side == "test"} <= {
        name for name, side in sides(some, test=large).items() if side == "test"
    }


def test_shares_are_kept_and_seeds_divide_otherwise() -> None:
    prompts = [f"{number:032x}" for number in range(20_000)]
    divisions = [sides(prompts, test=0.05, seed=seed) for seed in (0, 1)]
    for division in divisions:
        assert 850 < sum(side == "test" for side in division.values()) < 1150
    assert sum(all(division[prompt] == "test" for division in divisions) for prompt in prompts) < 120


@pytest.mark.parametrize("split", [{"test": 0}, {"test": 1}, {"seed": 1}, {"test": 0.1, "train": 0.9}, 0.05])
def test_a_split_without_a_meaning_is_refused(split: Any) -> None:
    with pytest.raises(ValidationError):
        PublishConfig.model_validate({"split": split})
