"""Parquet files of some kilobytes that unpack to gigabytes are read in bounded memory, whatever holds the text."""

import resource
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasasagi.tasks.load.files.unpacked import unpacked_bytes

ITSELF = "import sys; from tests.tasks.test_load_unpacked import read_limited; read_limited(sys.argv[1])"
LARGE = "a question about rivers? " * 40_000
MOST_MB = 600


@given(st.lists(st.lists(st.text(max_size=5), max_size=4), max_size=6))
def test_texts_are_counted_as_often_as_they_stand(rows: list[list[str]]) -> None:
    bytes_of = sum(len(text.encode()) for row in rows for text in row)
    plain = pa.array(rows, pa.list_(pa.string()))
    flat = pa.array([text for row in rows for text in row], pa.string()).dictionary_encode()
    offsets = pa.array([sum(map(len, rows[:place])) for place in range(len(rows) + 1)], pa.int32())
    packed = pa.ListArray.from_arrays(offsets, flat)
    for array in (plain, packed):
        assert unpacked_bytes(pa.RecordBatch.from_arrays([array], ["texts"])) == bytes_of
        half = array.slice(len(rows) // 2)
        expected = sum(len(text.encode()) for row in rows[len(rows) // 2 :] for text in row)
        assert unpacked_bytes(pa.RecordBatch.from_arrays([half], ["texts"])) == expected


def repeated(count: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array([0] * count, pa.int32()), pa.array([LARGE]))


def tables() -> dict[str, pa.Table]:
    few = [f"Why do rivers bend {number} times?" for number in range(3)]
    lists = pa.ListArray.from_arrays(pa.array([0, 3000, 3000, 3000], pa.int32()), repeated(3000))
    structs = pa.StructArray.from_arrays([repeated(3000), repeated(3000)], ["a", "b"])
    nested = pa.ListArray.from_arrays(pa.array([0, 3000, 3000, 3000], pa.int32()), structs)
    many = pa.array([f"Why do rivers bend {number} times?" for number in range(1000)])
    return {
        "a list": pa.table({"instruction": few, "tags": lists}),
        "a list of objects": pa.table({"instruction": few, "tags": nested}),
        "a column": pa.table({"instruction": many, "blob": repeated(1000)}),
    }


@pytest.mark.parametrize("where", ["a list", "a list of objects", "a column"])
def test_a_text_that_a_file_holds_once_does_not_fill_the_memory(tmp_path: Path, where: str) -> None:
    file = tmp_path / "prompts.parquet"
    pq.write_table(tables()[where], file, compression="zstd")
    done = subprocess.run([sys.executable, "-c", ITSELF, str(file)], capture_output=True, text=True, check=True)
    rows, accepted, reason = done.stdout.split()[-3:]
    assert int(rows) == (1000 if where == "a column" else 3)
    assert int(accepted) == (1000 if where == "a column" else 2)
    assert reason == ("-" if where == "a column" else "row_too_large")


def read_limited(file: str) -> None:
    """Load a file with little memory, and print how many rows there were, how many are prompts, and a reason."""
    from kasasagi.tasks.load import DatasetSource, load_prompts

    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    source = DatasetSource.model_validate({"kind": "dataset", "path": file})
    loaded = load_prompts(source, Path.cwd(), Path(file).parent / "loaded", None)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base) // 1024
    assert grown < MOST_MB, f"{grown} MB"
    reasons = pq.read_table(loaded.quarantine)["reason"].to_pylist()
    print(loaded.rows_in, loaded.rows_out, reasons[0] if reasons else "-")
