"""A shard that a kill or a full disk cut short is never taken for one, and is written again."""

import multiprocessing
import os
import resource
import signal
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kasasagi.blocks.workspace.shards import Shard, ShardStore


def rows() -> pa.Table:
    return pa.table({"a": list(range(2_000)), "b": [f"鵲{value * 7919 % 1009}" for value in range(2_000)]})


def expected(folder: Path) -> Shard:
    """What an undisturbed write gives."""
    return ShardStore(folder / "undisturbed").write(rows())


def write_and_die(folder: Path, before: bool) -> None:
    real = os.replace

    def replace(source: object, target: object) -> None:
        if not before:
            real(source, target)  # type: ignore[arg-type]
        os.kill(os.getpid(), signal.SIGKILL)

    os.replace = replace  # type: ignore[assignment]
    ShardStore(folder / "shards").write(rows())


@pytest.mark.parametrize("before", [True, False])
def test_a_kill_around_the_rename_leaves_a_whole_shard_or_none(tmp_path: Path, before: bool) -> None:
    child = multiprocessing.get_context("fork").Process(target=write_and_die, args=(tmp_path, before))
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    store, shard = ShardStore(tmp_path / "shards"), expected(tmp_path)
    assert store.contains_all({"rows": shard}) is not before
    assert store.write(rows()) == shard
    assert store.read(shard).equals(rows())


def write_on_a_full_disk(folder: Path) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3_000, 3_000))
    try:
        ShardStore(folder / "shards").write(rows())
    except OSError:
        os._exit(7)


def test_a_full_disk_leaves_no_shard(tmp_path: Path) -> None:
    child = multiprocessing.get_context("fork").Process(target=write_on_a_full_disk, args=(tmp_path,))
    child.start()
    child.join(60)
    assert child.exitcode == 7
    assert [file for file in (tmp_path / "shards").rglob("*") if file.is_file()] == []
    assert ShardStore(tmp_path / "shards").write(rows()) == expected(tmp_path)


@given(share=st.floats(0, 1, exclude_max=True), change=st.one_of(st.none(), st.integers(1, 255)))
@settings(max_examples=30)
def test_a_shard_that_was_cut_or_changed_anywhere_is_not_trusted(
    tmp_path_factory: pytest.TempPathFactory, share: float, change: int | None
) -> None:
    folder = tmp_path_factory.getbasetemp() / "changed"
    store = ShardStore(folder / "shards")
    shard = store.write(rows())
    path = store.path(shard)
    data = bytearray(path.read_bytes())
    place = int(share * len(data))
    if change is None:
        path.write_bytes(data[:place])
    else:
        data[place] ^= change
        path.write_bytes(data)
    assert not store.contains_all({"rows": shard})
    assert store.write(rows()) == shard
    assert store.contains_all({"rows": shard})
