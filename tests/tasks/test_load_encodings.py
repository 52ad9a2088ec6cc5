"""Files in other encodings, or that are no text: read, or refused with the encoding that they are in."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from kasasagi.tasks.load.config import DatasetSource, SourceError
from kasasagi.tasks.load.files.encodings import guess, remedy
from tests.tasks.test_load import load, quarantine
from tests.tasks.test_load_forms import csv, instructions, lines

ENCODED = {
    "cp932": ("日本の川はなぜ曲がるのですか。", "AIって何?データベースとは?"),
    "euc_jp": ("日本の川はなぜ曲がるのですか。", "データベースとは?"),
    "cp1252": ("Was heißt Käse?", "Pourquoi l'été est-il si chaud à Paris ?", "naïve"),
    "gb18030": ("为什么天空是蓝色的？",),
    "cp949": ("하늘은 왜 파란가요?",),
    "cp1251": ("Почему небо голубое?",),
}


@pytest.mark.parametrize(("encoding", "text"), [(name, text) for name, texts in ENCODED.items() for text in texts])
def test_the_encoding_that_is_named_is_the_one_that_the_text_reads_in(tmp_path: Path, encoding: str, text: str) -> None:
    path = csv(tmp_path, "p.csv", f"instruction,topic\n{text},a\nWhy?,b\n{text} Why?,c\n{text} How?,d\n", encoding)
    with pytest.raises(SourceError, match=f"encoding: {encoding}, in which it reads"):
        load(tmp_path, path)
    assert instructions(tmp_path, path, encoding=encoding)[:2] == [text, "Why?"]


def test_bytes_that_are_no_text_have_no_encoding() -> None:
    assert guess(b"\x80\x81\xff,\x8e\x8f\x90") is None
    assert "save it as UTF-8" in remedy(b"\x80\x81\xff,\x8e\x8f\x90")


WORDS = st.text(st.sampled_from("あいうえおがきのにはをアイウエオ日本東京川曲指示話題。、"), min_size=4, max_size=30)


@given(st.lists(WORDS.filter(lambda word: set(word) & set("あいうえおきのにはを")), min_size=1, max_size=9))
def test_japanese_texts_are_known_in_both_encodings(texts: list[str]) -> None:
    for encoding in ("cp932", "euc_jp"):
        assert guess("\n".join(texts).encode(encoding)) == encoding


def test_few_lines_in_another_encoding_are_named_with_the_remedy(tmp_path: Path) -> None:
    rows = "instruction,topic\n" + "Why?,a\n" * 4 + "川はなぜ曲がるのですか。,b\n" + "Why?,c\n" * 3
    result = load(tmp_path, csv(tmp_path, "p.csv", rows, "cp932"))
    [row] = [row for row in quarantine(result) if row["reason"] == "invalid_utf8"]
    assert row["detail"].startswith("line 6: it is not UTF-8; set encoding, for example encoding: cp932")
    assert "川はなぜ曲がる" in row["detail"]


@pytest.mark.parametrize("name", ["p.jsonl", "p.json", "lines.json", "p.jsonl.gz"])
@pytest.mark.parametrize("encoding", ["cp932", "euc_jp", "utf-16", "utf-16-le", "utf-8-sig"])
def test_json_in_another_encoding_is_named_and_can_be_read(tmp_path: Path, name: str, encoding: str) -> None:
    rows = [{"instruction": f"表の川{n}はなぜ曲がるのですか。"} for n in range(3)]
    by_line = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    data = (json.dumps(rows, ensure_ascii=False) if name == "p.json" else by_line).encode(encoding)
    (tmp_path / name).write_bytes(gzip.compress(data, mtime=0) if name.endswith("gz") else data)
    found = instructions(tmp_path, name, encoding=encoding)
    assert found == [row["instruction"] for row in rows]
    try:
        details = [row["detail"] for row in quarantine(load(tmp_path, name))]
    except SourceError as error:
        details = [str(error)]
    assert len(details) == (0 if encoding == "utf-8-sig" else len(details))
    assert all(f"encoding: {encoding}" in detail for detail in details)


def test_a_json_row_with_bytes_of_another_encoding_is_named(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_bytes('[{"instruction": "a"}, {"instruction": "日本の川"}]'.encode("cp932"))
    [row] = quarantine(load(tmp_path, "p.json"))
    assert row["detail"].startswith("row 2: it is not UTF-8; set encoding, for example encoding: cp932")


@pytest.mark.parametrize(("name", "options"), [
    ("p.jsonl", {"delimiter": ";"}), ("p.json", {"delimiter": ";"}), ("p.parquet", {"encoding": "cp932"}),
])  # fmt: skip
def test_options_that_a_format_does_not_have_are_refused(tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    lines(tmp_path, name, [{"instruction": "a"}])
    with pytest.raises(SourceError, match=rf"source\.{next(iter(options))}: .* which has no"):
        load(tmp_path, name, **options)


@pytest.mark.parametrize("name", ["hex", "idna", "cp93", "rot13"])
def test_what_is_no_encoding_of_texts_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="is not an encoding of texts"):
        DatasetSource(path="p.csv", encoding=name)


@pytest.mark.parametrize("data", [b"instruction\nWhy?\n", "instruction\nWhy?\n".encode("utf-16") + b"\x00"])
def test_a_file_that_is_not_in_its_encoding_is_one_sentence(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "p.csv").write_bytes(data)
    with pytest.raises(SourceError, match=r"cannot be decoded to its end .*: correct source.encoding"):
        load(tmp_path, "p.csv", encoding="utf-16")


def test_a_row_that_is_not_in_the_encoding_of_the_recipe_says_so(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_bytes(b"instruction,topic\nWhy?,a\n\x81\x01,b\n")
    [row] = quarantine(load(tmp_path, "p.csv", encoding="cp932"))
    assert row["detail"] == "line 3: it is not cp932; correct source.encoding, or fix the row"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path, encoding: str) -> None:
    path = csv(tmp_path, "p.csv", "\ufeffinstruction,topic\nWhy?,a\n", encoding)
    assert instructions(tmp_path, path, encoding=encoding) == ["Why?"]


@pytest.mark.parametrize(("data", "words"), [
    (gzip.compress(b'{"instruction": "a"}', mtime=0), "rename it to end in .gz"),
    (b"PAR1\x00", "set format: parquet"),
    (b"PK\x03\x04\x00", "save it as csv in UTF-8"),
])  # fmt: skip
@pytest.mark.parametrize("name", ["p.jsonl", "p.csv", "p.json"])
def test_a_file_that_is_no_text_says_what_it_is(tmp_path: Path, name: str, data: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(SourceError, match=words):
        load(tmp_path, name)


def test_a_broken_line_of_jsonl_is_named_with_its_number(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text('[{"instruction": "a"},\n\n{"instruction": "b"}, {}]\n')
    first, second = (row["detail"] for row in quarantine(load(tmp_path, "p.jsonl")))
    assert (first.startswith("line 1, column 2"), first.endswith("set format: json if the file is one array")) == (
        True,
        True,
    )
    assert second.startswith("line 3, column")
