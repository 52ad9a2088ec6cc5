"""The forms in which people have their prompts: each is read, or refused in a sentence with a remedy."""

import bz2
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kasasagi.tasks.load.config import DatasetSource, SourceError
from kasasagi.tasks.load.files.locate import locate
from kasasagi.tasks.load.files.readers import open_rows
from tests.tasks.test_load import load, prompts, quarantine

TEXTS = ["Why do rivers bend?", "川はなぜ曲がるのですか。", "Name a stone."]


def instructions(folder: Path, path: str, **fields: Any) -> list[str]:
    return [row["instruction"] for row in prompts(load(folder, path, **fields))]


def lines(folder: Path, name: str, rows: list[Any]) -> str:
    (folder / name).write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return name


FORMS: dict[str, Any] = {
    "sharegpt": lambda text: {"id": "1", "conversations": [{"from": "human", "value": text}]},
    "sharegpt_with_answer": lambda text: {
        "conversations": [
            {"from": "system", "value": "Be kind."},
            {"from": "human", "value": text},
            {"from": "gpt", "value": "A."},
        ]
    },
    "chat_with_answer": lambda text: {
        "messages": [{"role": "user", "content": text}, {"role": "assistant", "content": "A."}]
    },
    "developer": lambda text: {
        "messages": [{"role": "developer", "content": "Be kind."}, {"role": "user", "content": text}]
    },
    "parts": lambda text: {
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": text[:3]}, {"type": "text", "text": text[3:]}]}
        ]
    },
    "json_in_a_cell": lambda text: {"messages": json.dumps([{"role": "user", "content": text}])},
    "python_in_a_cell": lambda text: {"messages": repr([{"role": "user", "content": text}])},
    "one_turn": lambda text: {"messages": {"role": "user", "content": text}},
    "alpaca": lambda text: {"instruction": text, "input": "", "output": "A."},
}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_gives_its_prompts(tmp_path: Path, form: str) -> None:
    path = lines(tmp_path, "p.jsonl", [FORMS[form](text) for text in TEXTS])
    found = prompts(load(tmp_path, path))
    assert [row["instruction"] for row in found] == TEXTS
    assert all(row["messages"][-1]["role"] == "user" for row in found)
    if form in ("developer", "sharegpt_with_answer"):
        assert found[0]["messages"][0] == {"role": "system", "content": "Be kind."}


def test_an_alpaca_input_belongs_to_its_instruction(tmp_path: Path) -> None:
    row = {"instruction": "Translate this.", "input": "おはよう", "output": "Good morning."}
    assert instructions(tmp_path, lines(tmp_path, "p.jsonl", [row])) == ["Translate this.\n\nおはよう"]
    bare = {"instruction": "Explain it.", "input": "Bees buzz."}
    assert instructions(tmp_path, lines(tmp_path, "b.jsonl", [bare])) == ["Explain it.\n\nBees buzz."]
    rated = {**bare, "chosen": "A", "rejected": "B"}
    assert instructions(tmp_path, lines(tmp_path, "c.jsonl", [rated]), responses={}) == ["Explain it.\n\nBees buzz."]
    plain = {"instruction": "Sum up.", "input": 5}
    assert instructions(tmp_path, lines(tmp_path, "q.jsonl", [plain])) == ["Sum up."]


@pytest.mark.parametrize(
    "fields",
    [
        {"columns": {"instruction": "instruction"}},
        {"columns": {"system": "input"}},
        {"responses": {"chosen": "input", "rejected": "output"}},
    ],
)
def test_an_input_that_the_recipe_maps_is_no_part_of_the_instruction(tmp_path: Path, fields: dict[str, Any]) -> None:
    path = lines(tmp_path, "p.jsonl", [{"instruction": "Explain it.", "input": "Bees buzz.", "output": "They do."}])
    assert instructions(tmp_path, path, **fields) == ["Explain it."]


def test_a_part_that_is_no_text_costs_its_row_alone(tmp_path: Path) -> None:
    picture = {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]}]}
    path = lines(tmp_path, "p.jsonl", [picture, {"messages": [{"role": "user", "content": "good"}]}])
    result = load(tmp_path, path)
    (row,) = quarantine(result)
    assert (row["reason"], "image_url" in row["detail"]) == ("bad_message", True)
    assert len(prompts(result)) == 1


@pytest.mark.parametrize("content", [["plain"], [{"type": "text", "text": "pla"}, "in"]])
def test_a_part_may_be_a_bare_text(tmp_path: Path, content: list[Any]) -> None:
    rows = [{"messages": [{"role": "user", "content": content}]}]
    assert instructions(tmp_path, lines(tmp_path, "p.jsonl", rows)) == ["plain"]


@pytest.mark.parametrize("part", [1, None, ["a"], True, {"type": "text"}, {"type": 3, "text": "a"}])
def test_any_other_part_costs_its_row_alone(tmp_path: Path, part: Any) -> None:
    rows = [{"messages": [{"role": "user", "content": [part]}]}, {"messages": [{"role": "user", "content": "good"}]}]
    result = load(tmp_path, lines(tmp_path, "p.jsonl", rows))
    assert [row["reason"] for row in quarantine(result)] == ["bad_message"]
    assert len(prompts(result)) == 1


def test_nan_and_infinity_in_jsonl_are_read_as_in_json(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text('{"instruction": "a", "score": NaN}\n{"instruction": "b", "score": -Infinity}\n')
    assert instructions(tmp_path, "p.jsonl") == ["a", "b"]


def csv(folder: Path, name: str, text: str, encoding: str = "utf-8") -> str:
    (folder / name).write_bytes(text.encode(encoding))
    return name


JAPANESE = "指示,話題\n" + "".join(f"日本の川{n}はなぜ曲がるのですか。,川\n" for n in range(20))


@pytest.mark.parametrize(("encoding", "guess"), [("cp932", "cp932"), ("utf-16", "utf-16"), ("utf-16-le", "utf-16")])
def test_a_csv_file_in_another_encoding_is_named_and_can_be_read(tmp_path: Path, encoding: str, guess: str) -> None:
    path = csv(tmp_path, "p.csv", JAPANESE, encoding)
    with pytest.raises(SourceError, match=rf"not UTF-8 \(line 1\): set encoding, for example encoding: {guess}"):
        load(tmp_path, path, columns={"instruction": "指示"})
    found = instructions(tmp_path, path, columns={"instruction": "指示"}, encoding=encoding)
    assert len(found) == 20
    assert found[0] == "日本の川0はなぜ曲がるのですか。"


def test_other_delimiters_are_named_and_can_be_read(tmp_path: Path) -> None:
    path = csv(tmp_path, "p.csv", "instruction;topic\nWhy, oh why?;rivers\n")
    with pytest.raises(SourceError, match=r"set delimiter: ';'"):
        load(tmp_path, path)
    assert instructions(tmp_path, path, delimiter=";") == ["Why, oh why?"]
    assert instructions(tmp_path, csv(tmp_path, "p.tsv", "instruction\ttopic\nWhy, oh why?\trivers\n")) == [
        "Why, oh why?"
    ]
    assert instructions(tmp_path, csv(tmp_path, "one.csv", "instruction\nWhy?\n")) == ["Why?"]


def test_a_quote_that_is_never_closed_is_named_with_its_line(tmp_path: Path) -> None:
    rows = ["Why?,a", '"How?,a', *[f"What is {n}?,a" for n in range(10)]]
    path = csv(tmp_path, "p.csv", "instruction,topic\n" + "\n".join(rows) + "\n")
    with pytest.raises(SourceError, match=r"the quote that opens in line 3 is never closed, so that 11 lines"):
        load(tmp_path, path)


def test_a_file_compressed_by_bzip2_is_read(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl.bz2").write_bytes(bz2.compress(b'{"instruction": "a"}\n'))
    assert instructions(tmp_path, "p.jsonl.bz2") == ["a"]


def shard(folder: Path, name: str, *texts: str) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"instruction": list(texts)}), folder / name)


@pytest.mark.parametrize("place", ["", "data/"])
def test_a_folder_of_parquet_shards_is_one_dataset(tmp_path: Path, place: str) -> None:
    folder = tmp_path / "clone"
    shard(folder, f"{place}train-00000-of-00002.parquet", "a", "b")
    shard(folder, f"{place}train-00001-of-00002.parquet", "c")
    shard(folder, f"{place}test-00000-of-00001.parquet", "d")
    (folder / ".cache").mkdir()
    (folder / ".cache" / "x.parquet").write_text("no parquet")
    (folder / "README.md").write_text("# A card")
    assert instructions(tmp_path, "clone") == ["a", "b", "c"]
    assert instructions(tmp_path, "clone", split="test") == ["d"]
    with pytest.raises(SourceError, match="has no split 'tset'"):
        load(tmp_path, "clone", split="tset")


def test_shards_of_other_columns_are_refused(tmp_path: Path) -> None:
    shard(tmp_path / "clone", "train-00000-of-00002.parquet", "a")
    pq.write_table(pa.table({"other": ["b"]}), tmp_path / "clone" / "train-00001-of-00002.parquet")
    with pytest.raises(SourceError, match="has other columns than"):
        load(tmp_path, "clone")


def test_two_columns_of_one_name_are_refused_in_parquet_as_in_csv(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array(["wrong"])], names=["instruction", "instruction"])
    pq.write_table(table, tmp_path / "p.parquet")
    with pytest.raises(SourceError, match="two columns of the name 'instruction'"):
        load(tmp_path, "p.parquet")


@pytest.mark.parametrize("option", [{"split": "train"}, {"name": "en"}, {"revision": "main"}, {"streaming": True}])
def test_options_of_the_hub_on_a_file_are_refused(tmp_path: Path, option: dict[str, Any]) -> None:
    path = lines(tmp_path, "p.jsonl", [{"instruction": "a"}])
    with pytest.raises(SourceError, match=rf"source\.{next(iter(option))}: .* is a file"):
        load(tmp_path, path, **option)


def test_a_part_of_a_split_is_read(tmp_path: Path) -> None:
    import datasets

    rows = [{"instruction": f"text {n}"} for n in range(10)]
    datasets.DatasetDict({"train": datasets.Dataset.from_list(rows)}).save_to_disk(str(tmp_path / "saved"))
    assert instructions(tmp_path, "saved", split="train[:3]") == ["text 0", "text 1", "text 2"]
    assert instructions(tmp_path, "saved", split="train[8:]") == ["text 8", "text 9"]
    with pytest.raises(SourceError, match=r"write it as train\[:100\]"):
        load(tmp_path, "saved", split="train[:3%]")


def test_a_text_that_a_parquet_file_holds_once_for_many_rows_is_not_unpacked_at_once(tmp_path: Path) -> None:
    long, rows = "word " * 200_000, 500  # a megabyte each
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array([long]))
    table = pa.table({"instruction": [f"What is {n}?" for n in range(rows)], "body": texts})
    pq.write_table(table, tmp_path / "p.parquet", row_group_size=rows, compression="zstd", store_schema=False)
    opened = open_rows(DatasetSource(path="p.parquet"), locate(DatasetSource(path="p.parquet"), tmp_path))
    before, most = pa.total_allocated_bytes(), 0
    for _ in opened.rows:
        most = max(most, pa.total_allocated_bytes() - before)
    assert most < 128 << 20


def test_a_parquet_column_that_unpacks_to_what_no_text_does_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kasasagi.tasks.load.files.columnar._MOST_UNPACKED", 1 << 20)
    table = pa.table({"instruction": ["word " * 1000] * 1000})
    pq.write_table(table, tmp_path / "p.parquet", compression="zstd", use_dictionary=False)
    with pytest.raises(SourceError, match=r"the column 'instruction' unpacks from [\d,]+ to [\d,]+ bytes"):
        load(tmp_path, "p.parquet")
    plain = pa.table({"instruction": [f"What is {n} times {n * n}?" for n in range(50_000)]})
    pq.write_table(plain, tmp_path / "q.parquet", compression="zstd", use_dictionary=False)
    assert load(tmp_path, "q.parquet").rows_out == 50_000
