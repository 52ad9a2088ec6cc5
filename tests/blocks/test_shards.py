"""Shards: named by their content, whole or absent, and distrusted when they differ."""

from pathlib import Path

import pyarrow as pa
import pytest

from kasasagi.blocks.canonical import digest_file
from kasasagi.blocks.workspace.shards import Account, Shard, ShardStore


@pytest.fixture
def store(tmp_path: Path) -> ShardStore:
    return ShardStore(tmp_path / "shards")


def rows(*values: int) -> pa.Table:
    return pa.table({"a": list(values), "b": [f"鵲{value}" for value in values]})


def files(store: ShardStore) -> list[Path]:
    return sorted(file for file in store.folder.rglob("*") if file.is_file())


def test_rows_come_back_and_the_name_is_the_content(store: ShardStore) -> None:
    shard = store.write(rows(1, 2, 3))
    assert store.read(shard).to_pylist() == rows(1, 2, 3).to_pylist()
    assert store.read(shard, ["b"]).column_names == ["b"]
    assert shard == Shard(digest=digest_file(store.path(shard)), rows=3)
    assert files(store) == [store.path(shard)]


def test_equal_rows_are_one_shard_and_others_another(store: ShardStore) -> None:
    assert store.write(rows(1, 2)) == store.write(rows(1, 2))
    assert store.write(rows(2, 1)) != store.write(rows(1, 2))
    assert len(files(store)) == 2


def test_a_table_without_rows_keeps_its_columns(store: ShardStore) -> None:
    shard = store.write(rows().cast(pa.schema([("a", pa.int64()), ("b", pa.string())])))
    assert shard.rows == 0
    assert store.read(shard).column_names == ["a", "b"]


def test_batches_are_written_one_by_one(store: ShardStore) -> None:
    table = rows(*range(10))
    shard = store.write(iter(table.to_batches(max_chunksize=3)), table.schema)
    assert store.read(shard).to_pylist() == table.to_pylist()


def test_a_write_that_fails_leaves_nothing(store: ShardStore) -> None:
    def batches() -> object:
        yield from rows(1).to_batches()
        raise RuntimeError("cut")

    with pytest.raises(RuntimeError, match="cut"):
        store.write(batches(), rows(1).schema)  # type: ignore[arg-type]
    assert not files(store)


def test_a_file_is_adopted_whole(store: ShardStore, tmp_path: Path) -> None:
    shard = store.write(rows(7, 8))
    copy = tmp_path / "copy.parquet"
    copy.write_bytes(store.path(shard).read_bytes())
    assert store.adopt(copy) == shard
    assert not copy.exists()


@pytest.mark.parametrize("fault", ["missing", "torn", "empty", "changed"])
def test_a_shard_that_is_not_what_it_was_is_not_held(store: ShardStore, fault: str) -> None:
    shard, good = store.write(rows(*range(100))), store.write(rows(1))
    assert store.contains_all({"a": shard, "b": good})
    path = store.path(shard)
    data = path.read_bytes()
    spoilt = {"torn": data[:-7], "empty": b"", "changed": data[:50] + b"?" + data[51:]}
    if fault == "missing":
        path.unlink()
    else:
        path.write_bytes(spoilt[fault])
    assert not store.contains_all({"a": shard, "b": good})
    assert store.contains_all({"b": good})


def test_writing_a_torn_shard_again_mends_it(store: ShardStore) -> None:
    shard = store.write(rows(1, 2))
    store.path(shard).write_bytes(b"torn")
    assert store.write(rows(1, 2)) == shard
    assert store.contains_all({"a": shard})


def test_a_reused_account_costs_nothing_but_keeps_its_rows() -> None:
    account = Account(
        rows_in=9,
        rows_out=7,
        quarantined=2,
        calls_paid=8,
        calls_reused=1,
        prompt_tokens=5,
        completion_tokens=6,
        cost_usd=0.5,
        seconds=3.0,
    )
    assert account.without_costs() == Account(rows_in=9, rows_out=7, quarantined=2, calls_reused=9)
    assert account.without_costs().without_costs() == account.without_costs()
