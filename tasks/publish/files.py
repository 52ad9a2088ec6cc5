"""The files of one format: Parquet, JSON lines and a folder that `datasets.load_from_disk` opens.

Equal rows give equal bytes: no times, no names of machines, and row groups that follow the rows alone.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple, Self

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from kasasagi.blocks.canonical import digest_file

TRAIN = "train"
TEST = "test"
SAVED = "dataset"
SPLITS = f"{SAVED}/dataset_dict.json"
FINGERPRINT_DIGITS = 16


def data_files(splits: Sequence[str]) -> list[str]:
    """Return the names of a format's data files, relative to its folder."""
    names = [name for split in splits for name in Names.of(split, splits)]
    return names if len(splits) == 1 else [*names, SPLITS]


class Names(NamedTuple):
    """The names of one split's files, relative to the format's folder."""

    parquet: str
    jsonl: str
    arrow: str
    state: str
    info: str

    @classmethod
    def of(cls, split: str, splits: Sequence[str]) -> Self:
        """Return the names; a split that stands alone is saved as a dataset, one of several as a part of a dict of
        them.
        """
        saved = SAVED if len(splits) == 1 else f"{SAVED}/{split}"
        arrow = f"{saved}/data-00000-of-00001.arrow"
        return cls(f"{split}.parquet", f"{split}.jsonl", arrow, f"{saved}/state.json", f"{saved}/dataset_info.json")


def write_splits(folder: Path, splits: Sequence[str]) -> None:
    """Tell `datasets` which splits a saved dataset has; one that has no splits needs no word."""
    if len(splits) > 1:
        (folder / SPLITS).write_bytes(orjson.dumps({"splits": list(splits)}))


class DataFiles:
    """The data files of one split in a folder, written table by table. Raises OSError where they cannot be."""

    def __init__(self, folder: Path, schema: pa.Schema, split: str = TRAIN, splits: Sequence[str] = (TRAIN,)) -> None:
        self._folder, self._split = folder, split
        self._names = Names.of(split, splits)
        self._stack = ExitStack()
        (folder / self._names.arrow).parent.mkdir(parents=True)
        with self._stack:
            self._parquet = self._stack.enter_context(
                pq.ParquetWriter(folder / self._names.parquet, schema, compression="zstd")
            )
            self._jsonl = self._stack.enter_context((folder / self._names.jsonl).open("wb"))
            arrow = self._stack.enter_context(pa.OSFile(str(folder / self._names.arrow), "wb"))
            self._arrow = self._stack.enter_context(pa.ipc.new_stream(arrow, schema))
            self._stack = self._stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def write(self, rows: pa.Table) -> None:
        """Add some rows to each file; one call makes one row group."""
        if not rows.num_rows:
            return
        self._parquet.write_table(rows, row_group_size=rows.num_rows)
        self._arrow.write_table(rows)
        self._jsonl.writelines(orjson.dumps(row, default=str) + b"\n" for row in rows.to_pylist())

    def finish(self) -> None:
        """Close the files and write what `datasets` wants to know of the Arrow file."""
        self._stack.close()
        state: dict[str, Any] = {
            "_data_files": [{"filename": Path(self._names.arrow).name}],
            "_fingerprint": digest_file(self._folder / self._names.parquet)[:FINGERPRINT_DIGITS],
            "_format_columns": None,
            "_format_kwargs": {},
            "_format_type": None,
            "_output_all_columns": False,
            "_split": self._split,
        }
        (self._folder / self._names.state).write_bytes(orjson.dumps(state, option=orjson.OPT_INDENT_2))
        (self._folder / self._names.info).write_bytes(
            orjson.dumps({"description": "", "features": None}, option=orjson.OPT_INDENT_2)
        )
