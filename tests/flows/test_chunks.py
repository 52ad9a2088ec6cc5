"""Chunks: every prompt in one of them, and one more prompt touches one chunk."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasasagi.blocks.tables import PROMPTS
from kasasagi.blocks.workspace.chunks import MOST_CHUNKS, ROWS_IN_A_CHUNK, chunk_bits, prompt_chunks
from kasasagi.blocks.workspace.shards import Shard
from kasasagi.tasks.asking import Session, read_rows
from tests.tasks.helpers import prompt, session


def prompts(session: Session, rows: list[dict[str, Any]], kept: str | None = None) -> Shard:
    schema = PROMPTS if kept is None else PROMPTS.append(pa.field(kept, pa.string()))
    numbered = [{**row, "position": number, "source": f"file:{number}"} for number, row in enumerate(rows)]
    return session.run.workspace.shards.write(pa.Table.from_pylist(numbered, schema))


def some(count: int, about: str = "question") -> list[dict[str, Any]]:
    return [prompt(f"{about} {number}") for number in range(count)]


def ids(session: Session, chunks: list[Shard]) -> list[list[str]]:
    return [[row["prompt_id"] for row in read_rows(session.run, chunk)] for chunk in chunks]


@pytest.mark.parametrize("count", [0, 1, 128, 700])
def test_every_prompt_is_in_one_chunk_and_all_ids_of_a_chunk_lie_together(tmp_path: Path, count: int) -> None:
    one = session(tmp_path)
    rows = some(count)
    found = ids(one, prompt_chunks(one.run, prompts(one, rows)))
    assert [name for chunk in found for name in chunk] == sorted(row["prompt_id"] for row in rows)
    assert all(found), "no chunk is empty"


def test_one_more_prompt_changes_one_chunk(tmp_path: Path) -> None:
    one = session(tmp_path)
    rows = some(700)
    before = prompt_chunks(one.run, prompts(one, rows))
    after = prompt_chunks(one.run, prompts(one, [prompt("another"), *reversed(rows)]))
    assert len(before) == len(after) > 2
    assert len(set(before) - set(after)) == 1


def test_where_a_prompt_came_from_is_no_part_of_a_chunk_and_kept_columns_are(tmp_path: Path) -> None:
    one = session(tmp_path)
    rows = [{**row, 'a "b"': "kept"} for row in some(3)]
    [chunk] = prompt_chunks(one.run, prompts(one, rows, 'a "b"'))
    [other] = prompt_chunks(one.run, prompts(one, list(reversed(rows)), 'a "b"'))
    assert chunk == other
    found = read_rows(one.run, chunk)
    assert [row['a "b"'] for row in found] == ["kept"] * 3
    assert not {"position", "source", "finish_reason", "stop_reason"} & set(found[0])


def test_a_quote_in_the_workspaces_path_is_no_trouble(tmp_path: Path) -> None:
    one = session(tmp_path / "o'brien's")
    assert len(prompt_chunks(one.run, prompts(one, some(3)))) == 1


@given(st.integers(0, 10**7))
def test_chunks_are_some_hundred_rows_and_not_too_many(rows: int) -> None:
    chunks = 2 ** chunk_bits(rows)
    assert chunks <= MOST_CHUNKS
    assert chunks == MOST_CHUNKS or rows / chunks <= 1.5 * ROWS_IN_A_CHUNK
    assert chunks == 1 or rows / chunks > 0.75 * ROWS_IN_A_CHUNK


def test_more_chunks_are_parts_of_fewer(tmp_path: Path) -> None:
    one, rows = session(tmp_path), some(700)
    assert [len(found) for found in ids(one, prompt_chunks(one.run, prompts(one, rows), 2))] == [
        sum(row["prompt_id"][0] < "8" for row in rows),
        sum(row["prompt_id"][0] >= "8" for row in rows),
    ]
    assert 2 ** chunk_bits(10_000_000, 4096) == 4096
