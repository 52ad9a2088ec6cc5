"""The files of one format: Parquet, JSON lines and a folder that `datasets.load_from_disk` opens.

Equal rows give equal bytes: no times, no names of machines, and row groups that follow the rows alone.
"""

from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from blocks.canonical import digest_file

PARQUET = "train.parquet"
JSONL = "train.jsonl"
SAVED = "dataset"
ARROW = f"{SAVED}/data-00000-of-00001.arrow"
STATE = f"{SAVED}/state.json"
INFO = f"{SAVED}/dataset_info.json"
DATA_FILES = (PARQUET, JSONL, ARROW, STATE, INFO)
FINGERPRINT_DIGITS = 16


class DataFiles:
    """The data files of one format in a folder, written table by table. Raises OSError where they cannot be."""

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        self.folder = folder
        self._stack = ExitStack()
        (folder / SAVED).mkdir(parents=True)
        with self._stack:
            self._parquet = self._stack.enter_context(pq.ParquetWriter(folder / PARQUET, schema, compression="zstd"))
            self._jsonl = self._stack.enter_context((folder / JSONL).open("wb"))
            arrow = self._stack.enter_context(pa.OSFile(str(folder / ARROW), "wb"))
            self._arrow = self._stack.enter_context(pa.ipc.new_stream(arrow, schema))
            self._stack = self._stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def write(self, rows: pa.Table) -> None:
        """Add some rows to each file; one call makes one row group."""
        self._parquet.write_table(rows, row_group_size=max(1, rows.num_rows))
        self._arrow.write_table(rows)
        self._jsonl.writelines(orjson.dumps(row, default=str) + b"\n" for row in rows.to_pylist())

    def finish(self) -> None:
        """Close the files and write what `datasets` wants to know of the Arrow file."""
        self._stack.close()
        state: dict[str, Any] = {
            "_data_files": [{"filename": Path(ARROW).name}],
            "_fingerprint": digest_file(self.folder / PARQUET)[:FINGERPRINT_DIGITS],
            "_format_columns": None,
            "_format_kwargs": {},
            "_format_type": None,
            "_output_all_columns": False,
            "_split": "train",
        }
        (self.folder / STATE).write_bytes(orjson.dumps(state, option=orjson.OPT_INDENT_2))
        (self.folder / INFO).write_bytes(
            orjson.dumps({"description": "", "features": None}, option=orjson.OPT_INDENT_2)
        )
