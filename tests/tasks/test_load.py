"""Loading: what becomes a prompt, what is quarantined and why, and that every row is accounted for."""

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from kasasagi.blocks.canonical import prompt_id
from kasasagi.tasks.load import (
    DatasetSource,
    LoadResult,
    SourceError,
    check_source,
    load_prompts,
    source_columns,
    source_digest,
)
from kasasagi.tasks.load.files import streams

PROMPT = {"instruction": "prompt"}


def load(folder: Path, path: str, limit: int | None = None, **fields: Any) -> LoadResult:
    return load_prompts(DatasetSource(path=path, **fields), folder, folder / "out", limit)


def prompts(result: LoadResult) -> list[dict[str, Any]]:
    return pq.read_table(result.prompts).to_pylist()


def quarantine(result: LoadResult) -> list[dict[str, Any]]:
    return pq.read_table(result.quarantine).to_pylist()


def write(folder: Path, name: str, *lines: str | bytes) -> str:
    (folder / name).write_bytes(b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines))
    return name


def user(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def test_a_row_becomes_a_prompt_under_its_own_id(tmp_path: Path) -> None:
    path = write(tmp_path, "p.jsonl", '{"prompt": "鵲とは？", "id": 7}')
    (row,) = prompts(load(tmp_path, path, columns=PROMPT, keep=["id"]))
    assert row == {
        "prompt_id": prompt_id(user("鵲とは？")),
        "messages": user("鵲とは？"),
        "instruction": "鵲とは？",
        "source": "p.jsonl",
        "position": 0,
        "finish_reason": None,
        "id": 7,
    }


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{broken", "broken_json"),
        ("NaN", "not_an_object"),
        ("[" * 5000, "broken_json"),
        ("[1]", "not_an_object"),
        ("null", "not_an_object"),
        (b'{"prompt": "\xff"}', "invalid_utf8"),
        (r'{"prompt": "\ud800"}', "invalid_utf8"),
        ('{"other": 1}', "missing_column"),
        ('{"prompt": 5}', "wrong_type"),
        ('{"prompt": ["a"]}', "wrong_type"),
        ('{"prompt": null}', "empty"),
        ('{"prompt": " \u3000\\n"}', "empty"),
        ('{"prompt": "good"}', "duplicate"),
    ],
)
def test_a_row_that_is_no_prompt_is_set_aside_with_its_reason(tmp_path: Path, line: str | bytes, reason: str) -> None:
    path = write(tmp_path, "p.jsonl", '{"prompt": "good"}', line, '{"prompt": "also good"}')
    result = load(tmp_path, path, columns=PROMPT)
    (row,) = quarantine(result)
    assert (row["stage"], row["reason"], row["position"]) == ("load", reason, 1)
    assert row["payload"] == (line.decode("utf-8", "replace") if isinstance(line, bytes) else line)
    assert [kept["position"] for kept in prompts(result)] == [0, 2]


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([], "empty"),
        (None, "empty"),
        ("hello", "wrong_type"),
        (["hello"], "bad_message"),
        ([{"role": "robot", "content": "a"}], "bad_message"),
        ([{"role": "user"}], "bad_message"),
        ([{"role": "user", "content": None}], "bad_message"),
        ([{"role": "system", "content": "a"}], "no_user_turn"),
        ([{"role": "user", "content": "a"}, {"role": "system", "content": "b"}, *user("c")], "bad_message"),
        (user(" "), "empty"),
    ],
)
def test_messages_that_wait_for_no_answer_are_set_aside(tmp_path: Path, messages: Any, reason: str) -> None:
    path = write(tmp_path, "p.jsonl", json.dumps({"messages": messages}), json.dumps({"messages": user("good")}))
    result = load(tmp_path, path)
    assert [row["reason"] for row in quarantine(result)] == [reason]
    assert [row["instruction"] for row in prompts(result)] == ["good"]


def test_system_and_earlier_turns_are_kept_and_the_last_user_turn_is_the_instruction(tmp_path: Path) -> None:
    turns = [*user("a"), {"role": "assistant", "content": "b"}, *user("c")]
    path = write(
        tmp_path, "p.jsonl", json.dumps({"messages": turns, "sys": "be kind"}), json.dumps({"messages": turns})
    )
    first, second = prompts(load(tmp_path, path, columns={"system": "sys"}))
    assert first["messages"] == [{"role": "system", "content": "be kind"}, *turns]
    assert second["messages"] == turns
    assert first["instruction"] == second["instruction"] == "c"


def test_the_same_row_twice_in_quarantine_has_two_ids(tmp_path: Path) -> None:
    rows = quarantine(load(tmp_path, write(tmp_path, "p.jsonl", "{", "{", "{", '{"prompt": "a"}'), columns=PROMPT))
    assert len({row["row_id"] for row in rows}) == 3


def test_control_characters_and_line_separators_are_data(tmp_path: Path) -> None:
    text = "a\x00b\u202ec\u2028d\x85e"
    path = write(
        tmp_path, "p.jsonl", json.dumps({"prompt": text, "id": text}, ensure_ascii=False).replace("\x00", "\\u0000")
    )
    (row,) = prompts(load(tmp_path, path, columns=PROMPT, keep=["id"]))
    assert row["instruction"] == row["id"] == text


def test_kept_columns_get_the_type_that_fits_all_their_values(tmp_path: Path) -> None:
    rows = [
        {"prompt": "a", "i": 1, "f": 1, "b": True, "s": "007", "m": 1, "n": {"x": [1]}, "big": 2**63, "none": None},
        {"prompt": "b", "i": None, "f": 0.5, "b": False, "s": '"', "m": "1", "n": None, "big": 1, "none": None},
    ]
    path = write(tmp_path, "p.jsonl", *map(json.dumps, rows))
    table = pq.read_table(
        load(tmp_path, path, columns=PROMPT, keep=["i", "f", "b", "s", "m", "n", "big", "none"]).prompts
    )
    types = {name: str(table.schema.field(name).type) for name in table.schema.names[6:]}
    assert types == {
        "i": "int64",
        "f": "double",
        "b": "bool",
        "s": "string",
        "m": "string",
        "n": "string",
        "big": "string",
        "none": "string",
    }
    assert [tuple(row.values())[6:] for row in table.to_pylist()] == [
        (1, 1.0, True, "007", "1", '{"x":[1]}', str(2**63), None),
        (None, 0.5, False, '"', '"1"', None, "1", None),
    ]


def test_all_file_formats_give_the_same_prompts(tmp_path: Path) -> None:
    rows = [{"prompt": f"text {number}\n続き", "topic": "t"} for number in range(5)]
    lines = "\ufeff" + "\r\n\n".join(json.dumps(row) for row in rows)
    (tmp_path / "p.jsonl").write_bytes(lines.encode())
    (tmp_path / "p.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    with pa.CompressedOutputStream(str(tmp_path / "p.jsonl.zst"), "zstd") as out:
        out.write(lines.encode())
    (tmp_path / "lines.json").write_text(lines)
    (tmp_path / "p.json").write_text(json.dumps(rows))
    (tmp_path / "data.json").write_text(json.dumps({"version": 1, "data": rows}))
    with (tmp_path / "p.csv").open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, ["prompt", "topic"])
        writer.writeheader()
        writer.writerows(rows)
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "p.parquet")
    datasets.Dataset.from_list(rows).save_to_disk(str(tmp_path / "one"))
    datasets.DatasetDict({"train": datasets.Dataset.from_list(rows)}).save_to_disk(str(tmp_path / "split"))
    names = [path.name for path in tmp_path.iterdir()]
    found = {}
    for name in names:
        assert source_columns(DatasetSource(path=name), tmp_path) == ["prompt", "topic"], name
        loaded = prompts(load(tmp_path, name, columns=PROMPT, keep=["topic"]))
        found[name] = [{**row, "source": None} for row in loaded]
    assert len(names) == 10
    assert [row["instruction"] for row in found["p.jsonl"]] == [row["prompt"] for row in rows]
    assert all(rows_found == found["p.jsonl"] for rows_found in found.values())


def test_a_broken_csv_row_costs_only_itself(tmp_path: Path) -> None:
    lines = ("prompt,id", "a,1", "b", '"c"d,3', b"\xff,4", '"e\nf",5', "", '"open,6')
    result = load(tmp_path, write(tmp_path, "p.csv", *lines), columns=PROMPT, keep=["id"])
    assert [(row["instruction"], row["id"]) for row in prompts(result)] == [("a", "1"), ("e\nf", "5")]
    reasons = [row["reason"] for row in quarantine(result)]
    assert reasons == ["broken_row", "broken_row", "invalid_utf8", "broken_row"]


def test_invalid_bytes_cost_only_their_own_row_in_json_and_parquet(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_bytes(b'[{"prompt": "a"}, {"prompt": "\xff"}, {"prompt": "\\ud800"}, {"prompt": "b"}]')
    texts = pa.array([b"a", b"\xff", b"\xfe", b"b"], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"prompt": texts}), tmp_path / "p.parquet")
    for name in ("p.json", "p.parquet"):
        result = load(tmp_path, name, columns=PROMPT)
        assert [row["instruction"] for row in prompts(result)] == ["a", "b"]
        assert [row["reason"] for row in quarantine(result)] == ["invalid_utf8"] * 2
        assert all("\ufffd" in row["payload"] for row in quarantine(result))


def test_the_smaller_limit_counts_rows_read(tmp_path: Path) -> None:
    path = write(tmp_path, "p.jsonl", *(json.dumps({"prompt": str(number)}) for number in range(9)), "{")
    assert load(tmp_path, path, columns=PROMPT).rows_in == 10
    assert load(tmp_path, path, columns=PROMPT, limit=4).rows_in == 4
    source = DatasetSource(path=path, columns=PROMPT, limit=4)
    assert load_prompts(source, tmp_path, tmp_path / "out", 3).rows_in == 3


def test_a_hub_id_is_asked_for_split_and_revision_and_runs_no_code(tmp_path: Path, monkeypatch: Any) -> None:
    asked: dict[str, Any] = {}

    def hub(path: str, name: str | None, **options: Any) -> Any:
        asked.update(options, path=path, name=name)
        return datasets.Dataset.from_list([{"prompt": "a"}, {"prompt": "b"}]).to_iterable_dataset()

    monkeypatch.setattr(datasets, "load_dataset", hub)
    result = load(tmp_path, "owner/name", columns=PROMPT, revision="abc", split="test", streaming=True)
    assert [row["source"] for row in prompts(result)] == ["owner/name"] * 2
    assert asked == {"path": "owner/name", "name": None, "split": "test", "revision": "abc", "streaming": True}
    assert source_columns(DatasetSource(path="owner/name"), tmp_path) is None


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"path": "promts.jsonl"}, ["promts.jsonl", "did you mean 'prompts.jsonl'"]),
        ({"path": "nowhere/prompts.jsonl"}, ["nowhere/prompts.jsonl", "folder"]),
        ({"path": "prompts.jsonl"}, ["instruction", "'instructions'"]),
        ({"path": "prompts.jsonl", "columns": {"instruction": "texts"}}, ["columns.instruction", "'texts'", "'text'"]),
        ({"path": "prompts.jsonl", "columns": {"instruction": "text"}, "keep": ["topc"]}, ["keep", "'topc'"]),
        ({"path": "prompts.txt", "columns": {"instruction": "text"}}, ["prompts.txt", "format"]),
        ({"path": "empty"}, ["source.path 'empty' is an empty folder"]),
        ({"path": "prompts.txt", "format": "parquet"}, ["prompts.txt", "Parquet"]),
        ({"path": "prompts.txt", "format": "json"}, ["prompts.txt", "JSON"]),
        ({"path": "half.jsonl.gz", "columns": {"instruction": "text"}}, ["half.jsonl.gz", "to its end"]),
    ],
)
def test_a_source_that_cannot_be_read_says_why_in_one_sentence(
    tmp_path: Path, fields: dict[str, Any], words: list[str]
) -> None:
    write(tmp_path, "prompts.jsonl", '{"text": "a", "instructions": "b"}')
    write(tmp_path, "prompts.txt", "text")
    (tmp_path / "half.jsonl.gz").write_bytes(gzip.compress(b'{"text": "a"}\n' * 100)[:30])
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError) as caught:
        load_prompts(DatasetSource(**fields), tmp_path, tmp_path / "out")
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "out").glob("*"))


def test_a_line_without_an_end_is_cut_and_costs_only_itself(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(streams, "MAX_LINE_BYTES", 100)
    path = write(tmp_path, "p.jsonl", '{"prompt": "a"}', json.dumps({"prompt": "x" * 1000}), '{"prompt": "b"}')
    result = load(tmp_path, path, columns=PROMPT)
    assert [row["instruction"] for row in prompts(result)] == ["a", "b"]
    assert [row["reason"] for row in quarantine(result)] == ["too_long_line"]


def test_a_hub_that_does_not_answer_is_one_sentence(tmp_path: Path, monkeypatch: Any) -> None:
    def hub(*_: Any, **__: Any) -> Any:
        raise ConnectionError("no route\nto host")

    monkeypatch.setattr(datasets, "load_dataset", hub)
    with pytest.raises(SourceError, match=r"'owner/name'.*no route to host"):
        load(tmp_path, "owner/name")


def test_a_split_that_is_not_there_names_those_that_are(tmp_path: Path) -> None:
    part = datasets.Dataset.from_list([{"prompt": "a"}])
    datasets.DatasetDict({"test": part, "validation": part}).save_to_disk(str(tmp_path / "saved"))
    with pytest.raises(SourceError, match=r"'tests'.*'test'.*validation"):
        load(tmp_path, "saved", columns=PROMPT, split="tests")
    assert load(tmp_path, "saved", columns=PROMPT, split="test").rows_out == 1


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("https://a.example/b.jsonl", "is a URL, which is not read; download the file and name that"),
        ("/no/where.jsonl", "does not exist, nor does its folder /no: correct the path"),
    ],
)
def test_a_source_elsewhere_is_refused_with_a_remedy(tmp_path: Path, path: str, message: str) -> None:
    with pytest.raises(SourceError) as raised:
        check_source(DatasetSource(path=path), tmp_path)
    assert str(raised.value) == f"source.path {path!r} {message}"


def test_a_check_tells_of_missing_columns_without_loading(tmp_path: Path) -> None:
    pq.write_table(pa.table({"prompt": ["a"], "topic": ["b"]}), tmp_path / "p.parquet")
    assert check_source(DatasetSource(path="p.parquet", columns=PROMPT, keep=["topic"]), tmp_path) == [
        "prompt",
        "topic",
    ]
    assert check_source(DatasetSource(path="owner/name"), tmp_path) is None
    for fields in ({}, {"columns": {"instruction": "promt"}}, {"columns": PROMPT, "keep": ["topics"]}):
        with pytest.raises(SourceError, match=r"did you mean|there are prompt"):
            check_source(DatasetSource(path="p.parquet", **fields), tmp_path)


@pytest.mark.parametrize(
    "fields",
    [
        {"keep": ["Source"]},
        {"keep": ["id", "ID"]},
        {"columns": {"instructions": "a"}},
        {"columns": {"instruction": "a", "messages": "b"}},
        {"limit": 0},
        {"colums": {}},
    ],
)
def test_a_source_that_contradicts_itself_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        DatasetSource(path="p.jsonl", **fields)


def test_the_digest_follows_the_bytes_and_the_revision(tmp_path: Path) -> None:
    for name, text in (("a.jsonl", "{}"), ("b.jsonl", "{}"), ("c.jsonl", "{ }")):
        write(tmp_path, name, text)
    a, b, c = (source_digest(DatasetSource(path=f"{name}.jsonl"), tmp_path) for name in "abc")
    assert a == b != c
    datasets.Dataset.from_list([{"prompt": "a"}]).save_to_disk(str(tmp_path / "saved"))
    saved = DatasetSource(path="saved")
    before = source_digest(saved, tmp_path)
    write(tmp_path / "saved", "more", "x")
    assert source_digest(saved, tmp_path) != before
    hub = [source_digest(DatasetSource(path="o/n", revision=revision), tmp_path) for revision in ("1", "2", "1")]
    assert hub[0] == hub[2] != hub[1]


def test_a_path_beside_the_recipe_comes_before_the_current_folder(tmp_path: Path, monkeypatch: Any) -> None:
    recipe, here = tmp_path / "recipe", tmp_path / "here"
    for folder in (recipe, here):
        folder.mkdir()
        write(folder, "p.jsonl", json.dumps({"prompt": folder.name}))
    write(here, "only_here.jsonl", '{"prompt": "only"}')
    monkeypatch.chdir(here)
    assert prompts(load(recipe, "p.jsonl", columns=PROMPT))[0]["instruction"] == "recipe"
    assert prompts(load(recipe, "only_here.jsonl", columns=PROMPT))[0]["instruction"] == "only"


def test_nothing_but_the_two_tables_is_left_behind(tmp_path: Path) -> None:
    load(tmp_path, write(tmp_path, "p.jsonl", '{"prompt": "a"}'), columns=PROMPT)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["prompts.parquet", "quarantine.parquet"]


def test_many_batches_keep_their_order_and_the_earliest_of_equals(tmp_path: Path) -> None:
    lines = [json.dumps({"prompt": f"text {number % 15000}", "id": number}) for number in range(20000)]
    result = load(tmp_path, write(tmp_path, "p.jsonl", *lines), columns=PROMPT, keep=["id"])
    assert [row["id"] for row in prompts(result)] == list(range(15000))
    held = quarantine(result)
    assert [row["position"] for row in held] == list(range(15000, 20000))
    assert held[7]["detail"] == "the same messages as the row at position 7"


JUNK = st.one_of(
    st.binary(max_size=30).filter(lambda line: b"\n" not in line),
    st.text(max_size=20).map(lambda text: json.dumps({"prompt": text}).encode()),
    st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=5), st.lists).map(
        lambda value: json.dumps({"prompt": "p", "id": value}).encode()
    ),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(JUNK, max_size=12))
def test_the_account_closes_for_any_lines(tmp_path: Path, lines: list[bytes]) -> None:
    first = json.dumps({"prompt": "first", "id": 1}).encode()
    (tmp_path / "p.jsonl").write_bytes(b"\n".join([first, *lines]))
    result = load(tmp_path, "p.jsonl", columns=PROMPT, keep=["id"])
    rows, held = prompts(result), quarantine(result)
    assert (result.rows_out, result.quarantined) == (len(rows), len(held))
    assert result.rows_in == result.rows_out + result.quarantined
    assert sorted(row["position"] for row in [*rows, *held]) == list(range(result.rows_in))
    assert len({row["row_id"] for row in held}) == len(held)
    assert len({row["prompt_id"] for row in rows}) == len(rows)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(min_size=1, max_size=30).filter(str.strip), min_size=1, max_size=8))
def test_published_text_is_the_text_that_was_read(tmp_path: Path, texts: list[str]) -> None:
    (tmp_path / "p.jsonl").write_text("\n".join(json.dumps({"prompt": text, "again": text}) for text in texts))
    rows = prompts(load(tmp_path, "p.jsonl", columns=PROMPT, keep=["again"]))
    expected = list(dict.fromkeys(texts))
    assert [row["instruction"] for row in rows] == [row["again"] for row in rows] == expected
