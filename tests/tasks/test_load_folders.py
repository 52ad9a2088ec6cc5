"""Folders of data files: splits and configurations by their names, and parts of a split."""

import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets.data_files import DataFilesDict, get_data_patterns
from hypothesis import given
from hypothesis import strategies as st

from kasasagi.tasks.load import DatasetSource, SourceError
from kasasagi.tasks.load.files.locate import locate
from kasasagi.tasks.load.files.shards import find_shards
from tests.tasks.test_load import load
from tests.tasks.test_load_forms import instructions, shard


@pytest.mark.parametrize(
    "names",
    [
        ("train.parquet", "test.parquet"),
        ("data/train-00000-of-00001.parquet", "data/test-00000-of-00001.parquet"),
        ("data-train.parquet", "data-test.parquet"),
        ("my_train_set.parquet", "my eval set.parquet"),
        ("training/0.parquet", "testing/0.parquet"),
        ("x-train-1/0.parquet", "x-test-1/0.parquet"),
    ],
)
def test_names_tell_the_splits(tmp_path: Path, names: tuple[str, str]) -> None:
    shard(tmp_path / "clone", names[0], "a", "b")
    shard(tmp_path / "clone", names[1], "c")
    assert instructions(tmp_path, "clone") == ["a", "b"]
    assert instructions(tmp_path, "clone", split="test") == ["c"]
    note = locate(DatasetSource(path="clone"), tmp_path).note
    assert note == "1 file is read of the split train; test left out, which source.split can name"
    with pytest.raises(SourceError, match=r"has no split 'validation': .*there are .*train"):
        load(tmp_path, "clone", split="validation")


def test_splits_without_train_must_be_named(tmp_path: Path) -> None:
    for name in ("validation.parquet", "test.parquet"):
        shard(tmp_path / "clone", name, name)
    with pytest.raises(SourceError, match=r"has the splits .*: say which with split"):
        load(tmp_path, "clone")
    assert instructions(tmp_path, "clone", split="validation") == ["validation.parquet"]


PART = st.sampled_from(
    ["data", "train", "test", "dev", "en", "val", "x1", "train0", "trainer", "latest", "evaluation", "00"]
)
NAME = st.lists(PART, min_size=1, max_size=3).flatmap(
    lambda parts: st.sampled_from("-_. ").map(lambda sign: sign.join(parts) + ".jsonl")
)
FILE = st.builds(lambda folders, name: "/".join([*folders, name]), st.lists(PART, max_size=2), NAME)
SHARD = st.sampled_from(["train", "test", "train_sft", "hub"]).map(lambda split: f"data/{split}-00000-of-00001.jsonl")


@given(st.sets(FILE | SHARD, min_size=1, max_size=5))
def test_splits_are_those_of_the_hub(files: set[str]) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name) / "clone"
        for file in files:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text("{}\n")
        theirs = DataFilesDict.from_patterns(get_data_patterns(str(folder)), base_path=str(folder))
        for split, wanted in theirs.items():
            source = DatasetSource(path="clone", split=str(split))
            try:
                found = find_shards(source, folder)
            except SourceError as error:
                assert "configurations" in str(error)  # noqa: PT017 - the Hub merges these
                continue
            assert found is not None
            assert len(set(found.files)) == len(found.files)
            assert {str(file) for file in found.files} == {str(Path(file).resolve()) for file in wanted}


@pytest.mark.parametrize(
    "place", ["{}/train-00000-of-00001.parquet", "{}/data/train.parquet", "data/{}/train/0.parquet"]
)
def test_configurations_must_be_named(tmp_path: Path, place: str) -> None:
    for name in ("en", "ja"):
        shard(tmp_path / "clone", place.format(name), name)
    with pytest.raises(SourceError, match="has the configurations en, ja: say which with name"):
        load(tmp_path, "clone")
    assert instructions(tmp_path, "clone", name="ja") == ["ja"]
    assert instructions(tmp_path, "clone", name="ja", split="train[:1]") == ["ja"]
    with pytest.raises(SourceError, match="has no configuration 'jp': did you mean 'ja'"):
        load(tmp_path, "clone", name="jp")


def test_a_folder_without_configurations_has_no_name(tmp_path: Path) -> None:
    shard(tmp_path / "clone", "train.parquet", "a")
    with pytest.raises(SourceError, match=r"source.name: .* has no configurations"):
        load(tmp_path, "clone", name="en")


def test_folders_that_tell_no_split_are_one_dataset_or_configurations_as_named(tmp_path: Path) -> None:
    for name in ("2023", "2024"):
        shard(tmp_path / "clone", f"{name}/part.parquet", name)
    assert instructions(tmp_path, "clone") == ["2023", "2024"]
    assert instructions(tmp_path, "clone", name="2024") == ["2024"]


PARTS = ["train[:3]", "train[4:]", "train[2:6]", "train[-2:]", "train[:-3]", "train[:]", "train[6:2]", "train[50:]"]


@pytest.mark.parametrize("part", PARTS)
def test_a_part_of_a_split_is_read_of_every_folder(tmp_path: Path, part: str) -> None:
    texts = [f"text {n}" for n in range(8)]
    shard(tmp_path / "clone", "train-00000-of-00002.parquet", *texts[:3])
    shard(tmp_path / "clone", "train-00001-of-00002.parquet", *texts[3:])
    for index, some in enumerate((texts[:5], texts[5:])):
        (tmp_path / "lines").mkdir(exist_ok=True)
        rows = "".join(json.dumps({"instruction": text}) + "\n" for text in some)
        (tmp_path / "lines" / f"train-{index}.jsonl").write_text(rows)
    whole = datasets.Dataset.from_list([{"instruction": text} for text in texts])
    whole.save_to_disk(str(tmp_path / "one"))
    datasets.DatasetDict({"train": whole}).save_to_disk(str(tmp_path / "dict"))
    first, end = (int(n) if n else None for n in part.removeprefix("train[").rstrip("]").split(":"))
    for path in ("clone", "lines", "one", "dict"):
        assert instructions(tmp_path, path, split=part) == texts[first:end], path


@pytest.mark.parametrize("split", ["test", "test[:2]"])
def test_a_saved_dataset_without_splits_has_no_other(tmp_path: Path, split: str) -> None:
    datasets.Dataset.from_list([{"instruction": "a"}]).save_to_disk(str(tmp_path / "one"))
    with pytest.raises(SourceError, match="is one dataset, its split train, and has no split 'test': remove it"):
        load(tmp_path, "one", split=split)
    with pytest.raises(SourceError, match=r"write it as train\[:100\]"):
        load(tmp_path, "one", split="train[:10%]")


def test_the_split_of_a_saved_dataset_is_known(tmp_path: Path) -> None:
    part = datasets.Dataset.from_list([{"instruction": "a"}], split="test")
    part.save_to_disk(str(tmp_path / "one"))
    assert instructions(tmp_path, "one", split="test") == instructions(tmp_path, "one") == ["a"]
    with pytest.raises(SourceError, match="its split test, and has no split 'train'"):
        load(tmp_path, "one", split="train")


def test_what_a_saved_dataset_leaves_out_is_said(tmp_path: Path) -> None:
    part = datasets.Dataset.from_list([{"instruction": "a"}])
    datasets.DatasetDict({"train": part, "test": part}).save_to_disk(str(tmp_path / "saved"))
    note = locate(DatasetSource(path="saved"), tmp_path).note
    assert note == "the split train is read; test left out, which source.split can name"
    assert locate(DatasetSource(path="saved", split="train"), tmp_path).note is None


def write(folder: Path, name: str, text: str) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")


@pytest.mark.parametrize(("ending", "text"), [
    ("jsonl", '{{"instruction": "{0}"}}\n'), ("csv", "instruction,topic\n{0},t\n"),
    ("json", '[{{"instruction": "{0}"}}]'),
])  # fmt: skip
def test_folders_of_other_formats_are_read(tmp_path: Path, ending: str, text: str) -> None:
    for name in ("train-0", "train-1", "validation"):
        write(tmp_path / "clone", f"{name}.{ending}", text.format(name))
    write(tmp_path / "clone", "dataset_infos.json", "{}")
    assert instructions(tmp_path, "clone") == ["train-0", "train-1"]
    assert instructions(tmp_path, "clone", split="validation") == ["validation"]


def test_a_folder_of_equally_many_formats_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "clone", "a.jsonl", '{"instruction": "a"}\n')
    write(tmp_path / "clone", "b.csv", "instruction,topic\nb,t\n")
    with pytest.raises(SourceError, match=r"name a file in it \(a.jsonl, b.csv\)"):
        load(tmp_path, "clone")
    assert instructions(tmp_path, "clone", format="csv") == ["b"]


def test_csv_shards_of_other_columns_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "clone", "a.csv", "instruction,topic\na,t\n")
    write(tmp_path / "clone", "b.csv", "instruction,id\nb,t\n")
    with pytest.raises(SourceError, match=r"b.csv has other columns than the first file"):
        load(tmp_path, "clone")


def options(**fields: Any) -> dict[str, Any]:
    return fields


@pytest.mark.parametrize("fields", [options(revision="main"), options(streaming=True), options(delimiter=";")])
def test_options_that_a_folder_does_not_have_are_refused(tmp_path: Path, fields: dict[str, Any]) -> None:
    pq.write_table(pa.table({"instruction": ["a"]}), tmp_path / "x.parquet")
    (tmp_path / "clone").mkdir()
    (tmp_path / "x.parquet").rename(tmp_path / "clone" / "train.parquet")
    with pytest.raises(SourceError, match=rf"source\.{next(iter(fields))}: .* which has no"):
        load(tmp_path, "clone", **fields)


def declare(folder: Path, header: str) -> None:
    (folder / "README.md").write_text(f"---\nlicense: apache-2.0\n{header}---\n# Prompts\n", encoding="utf-8")


TWO_CONFIGURATIONS = """\
configs:
- config_name: easy
  data_files:
  - {split: train, path: "first/*.parquet"}
  - {split: held_out, path: [second/b.parquet]}
- config_name: hard
  default: true
  data_files: second/a.parquet
"""


def test_what_a_readme_declares_holds_before_names(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    for name in ("first/test.parquet", "first/x.parquet", "second/a.parquet", "second/b.parquet"):
        shard(clone, name, name)
    declare(clone, TWO_CONFIGURATIONS)
    assert instructions(tmp_path, "clone") == ["second/a.parquet"]
    assert instructions(tmp_path, "clone", name="easy") == ["first/test.parquet", "first/x.parquet"]
    assert instructions(tmp_path, "clone", name="easy", split="held_out") == ["second/b.parquet"]
    with pytest.raises(SourceError, match=r"no configuration 'esy'.*easy"):
        load(tmp_path, "clone", name="esy")
    theirs = datasets.load_dataset(str(clone), "easy", split="train", cache_dir=str(tmp_path / "cache"))
    assert theirs["instruction"] == ["first/test.parquet", "first/x.parquet"]


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ("configs:\n- {config_name: a, data_files: gone.parquet}\n", "no such file is there"),
        ("configs:\n- {config_name: a, data_files: ../outside.parquet}\n", "no such file is there"),
        ("configs:\n- {config_name: a, data_files: '**.parquet'}\n", "no such file is there"),
        (
            "configs:\n- {config_name: a, data_files: x.parquet}\n- {config_name: b, data_files: x.parquet}\n",
            "has the configurations a, b: say which with name",
        ),
    ],
)
def test_a_readme_that_declares_what_cannot_be_read_is_refused(tmp_path: Path, header: str, why: str) -> None:
    shard(tmp_path / "clone", "x.parquet", "x")
    shard(tmp_path, "outside.parquet", "secret")
    declare(tmp_path / "clone", header)
    with pytest.raises(SourceError, match=why):
        load(tmp_path, "clone")


@pytest.mark.parametrize(
    "header",
    [
        "configs: none\n",
        "configs: [7, {data_files: 3}]\n",
        "a: [\n",
        "- 1\n",
        "date: 2023-02-30\n",
        f"a: {'[' * 5000}\n",
        "configs: [{data_dir: ..}, {data_files: ''}]\n",
    ],
)
def test_a_readme_that_declares_nothing_readable_is_passed_over(tmp_path: Path, header: str) -> None:
    shard(tmp_path / "clone", "x.parquet", "x")
    declare(tmp_path / "clone", header)
    assert instructions(tmp_path, "clone") == ["x"]


DIRECTORIES = """\
configs:
- {config_name: default, data_dir: plain}
- {config_name: hard, data_dir: tough, data_files: [{split: test, path: "b.*"}]}
- {config_name: other, data_files: "tough/a.parquet"}
"""


def test_a_readme_may_declare_folders_whose_names_tell_the_splits(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    for name in ("plain/train.parquet", "plain/test.parquet", "tough/a.parquet", "tough/b.parquet"):
        shard(clone, name, name)
    declare(clone, DIRECTORIES)
    assert instructions(tmp_path, "clone") == ["plain/train.parquet"]
    assert instructions(tmp_path, "clone", split="test") == ["plain/test.parquet"]
    assert instructions(tmp_path, "clone", name="hard") == ["tough/b.parquet"]
    theirs = datasets.load_dataset(str(clone), split="test", cache_dir=str(tmp_path / "cache"))
    assert theirs["instruction"] == ["plain/test.parquet"]


def test_what_is_neither_a_file_nor_a_folder_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "rows.jsonl")
    with pytest.raises(SourceError, match=r"'rows\.jsonl' is neither a file nor a folder.*write its content to a file"):
        locate(DatasetSource(path="rows.jsonl"), tmp_path)


def test_an_empty_folder_is_called_empty(tmp_path: Path) -> None:
    (tmp_path / "rows").mkdir()
    with pytest.raises(SourceError, match="'rows' is an empty folder"):
        locate(DatasetSource(path="rows"), tmp_path)
