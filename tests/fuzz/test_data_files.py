"""Damaged data files: every row is a prompt or quarantined, or the file is refused in one sentence."""

import gzip
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kasasagi.tasks.load import DatasetSource, LoadResult, SourceError, load_prompts, source_columns
from tests.fuzz.mutations import CHANGES, Change, changed, check_plain_message

ROWS: list[dict[str, Any]] = [
    {"prompt": f'Explain {number} 鵲, "please".\nTwo lines.', "id": number, "tags": ["a", None]} for number in range(12)
]


def as_jsonl() -> bytes:
    return b"\n".join(json.dumps(row, ensure_ascii=False).encode() for row in ROWS)


def as_csv() -> bytes:
    fields = "\n".join(f'"Explain {row["id"]}, ""please"".",{row["id"]},x' for row in ROWS)
    return f"prompt,id,tags\n{fields}\n".encode()


def as_parquet() -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(ROWS), sink)
    return sink.getvalue()


def as_zstd() -> bytes:
    sink = io.BytesIO()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(as_jsonl())
        stream.flush()
        return sink.getvalue()


FILES = {
    "p.jsonl": as_jsonl(),
    "p.json": json.dumps({"rows": ROWS}).encode(),
    "p.csv": as_csv(),
    "p.parquet": as_parquet(),
    "p.jsonl.gz": gzip.compress(as_jsonl(), mtime=0),
    "p.jsonl.zst": as_zstd(),
}


def account(result: LoadResult) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The rows of both tables, once it is sure that each row read is in exactly one of them."""
    rows, held = (pq.read_table(path).to_pylist() for path in (result.prompts, result.quarantine))
    assert result.rows_in == result.rows_out + result.quarantined
    assert (len(rows), len(held)) == (result.rows_out, result.quarantined)
    assert all(row["reason"] for row in held)
    assert len({row["prompt_id"] for row in rows}) == len(rows)
    return rows, held


@pytest.mark.parametrize("name", FILES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=settings().max_examples // 3)
@given(changes=CHANGES)
def test_a_damaged_file_is_read_row_by_row_or_refused(tmp_path: Path, name: str, changes: list[Change]) -> None:
    (tmp_path / name).write_bytes(changed(FILES[name], changes))
    source = DatasetSource(path=name, columns={"instruction": "prompt"})
    try:
        source_columns(source, tmp_path)
        rows, _ = account(load_prompts(source, tmp_path, tmp_path / "out"))
    except SourceError as error:
        check_plain_message(error, "\n")
        return
    assert all(row["instruction"].strip() for row in rows)


@given(st.sampled_from(sorted(FILES)), st.binary(max_size=300))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_bytes_that_were_never_data_are_refused_or_set_aside(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    try:
        account(load_prompts(DatasetSource(path=name), tmp_path, tmp_path / "out"))
    except SourceError as error:
        check_plain_message(error)
