"""Files that a download, a clone or an editor damaged: named with the place and the remedy."""

from pathlib import Path

import pytest

from kasasagi.tasks.load.config import SourceError
from kasasagi.tasks.load.files.encodings import guess
from tests.tasks.test_load import load, quarantine
from tests.tasks.test_load_forms import csv, instructions, shard

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 12345\n"


def test_a_nul_in_a_csv_costs_its_own_row_alone(tmp_path: Path) -> None:
    path = csv(tmp_path, "p.csv", "instruction,topic\nWhy?,a\nHo\0w?,b\nWhen?,c\n", "utf-8")
    result = load(tmp_path, path)
    assert instructions(tmp_path, path) == ["Why?", "When?"]
    [row] = quarantine(result)
    assert (row["reason"], row["detail"]) == ("broken_row", "line 3: a NUL byte; take it out")
    with pytest.raises(SourceError, match="NUL byte in its first line"):
        load(tmp_path, csv(tmp_path, "q.csv", "instruc\0tion,topic\nWhy?,a\n", "utf-8"))


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", ["Why?", "川はなぜ曲がるのですか。流れが速いからですか。"])
def test_wide_files_without_a_mark_are_still_told_by_their_nuls(encoding: str, text: str) -> None:
    assert guess(f"instruction\n{text}\n{text}\n".encode(encoding)) == encoding
    assert guess(b"instruction\nWhy\0?\nHow?\n") is None


@pytest.mark.parametrize("name", ["p.parquet", "p.jsonl", "p.jsonl.gz", "p.csv", "p.json"])
def test_a_pointer_of_git_lfs_is_named_with_its_command(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(POINTER)
    with pytest.raises(SourceError, match="is a Git LFS pointer, not the data: run `git lfs pull` in "):
        load(tmp_path, name)
    (tmp_path / "clone").mkdir()
    (tmp_path / "clone" / name).write_text(POINTER)
    with pytest.raises(SourceError, match="Git LFS pointer"):
        load(tmp_path, "clone")


@pytest.mark.parametrize("readme", ["", "---\nconfigs:\n- config_name: default\n  data_files: data/*.parquet\n---\n"])
def test_a_folder_that_lacks_shards_is_refused(tmp_path: Path, readme: str) -> None:
    folder = tmp_path / "clone"
    shard(folder, "data/train-00001-of-00003.parquet", "a")
    shard(folder, "data/train-00002-of-00003.parquet", "b")
    (folder / "README.md").write_text(readme)
    with pytest.raises(
        SourceError, match=r"has 2 of 3 shards of the split train \(data/train-00001-of-00003…\): fetch"
    ):
        load(tmp_path, "clone")
    shard(folder, "data/train-00000-of-00003.parquet", "c")
    assert instructions(tmp_path, "clone") == ["c", "a", "b"]
    assert instructions(tmp_path, "clone/data/train-00001-of-00003.parquet") == ["a"]


def test_a_split_that_is_not_read_may_lack_shards(tmp_path: Path) -> None:
    shard(tmp_path / "clone", "train-00000-of-00001.parquet", "a")
    shard(tmp_path / "clone", "test-00000-of-00002.parquet", "b")
    assert instructions(tmp_path, "clone") == ["a"]
    with pytest.raises(SourceError, match="1 of 2 shards of the split test"):
        load(tmp_path, "clone", split="test")


@pytest.mark.parametrize("number", ["1e999", "-1E+400", "NaN", "Infinity"])
def test_a_number_too_large_is_read_alike_in_both_forms_of_json(tmp_path: Path, number: str) -> None:
    row = f'{{"instruction": "Why?", "score": {number}}}'
    (tmp_path / "p.jsonl").write_text(f"{row}\n")
    (tmp_path / "p.json").write_text(f"[{row}]")
    for name in ("p.jsonl", "p.json"):
        assert instructions(tmp_path, name) == ["Why?"]
