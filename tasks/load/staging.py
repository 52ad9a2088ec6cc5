"""Rows on their way out: staged in one scratch file in their order, then settled into prompts and quarantine.

Later duplicates are known only once all rows have been seen. So rows are staged with a key each, DuckDB finds the
repeated keys under a memory limit, and a second pass splits the scratch file in two; only the repeats' row numbers
(24 bytes each) are held.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kasasagi.blocks import tables

BATCH_ROWS = 8192
MEMORY_LIMIT = "256MB"
META = pa.schema(
    [
        ("staged:row", pa.int64()),
        ("staged:key", pa.string()),
        ("staged:row_id", pa.string()),
        ("staged:reason", pa.string()),
        ("staged:detail", pa.string()),
        ("staged:payload", pa.string()),
    ]
)
QUARANTINE = tables.QUARANTINE.append(pa.field("position", pa.int64()))
_DUPLICATES = """
    WITH staged AS (
        SELECT "staged:row" AS row, "staged:key"::UUID AS key, position FROM read_parquet($scratch)
        WHERE "staged:reason" IS NULL AND "staged:key" IS NOT NULL),
    firsts AS (
        SELECT key, min(row) AS row, arg_min(position, row) AS position FROM staged GROUP BY key HAVING count(*) > 1),
    duplicates AS (
        SELECT staged.row AS row, firsts.position AS value FROM staged JOIN firsts USING (key)
        WHERE staged.row > firsts.row)"""
_REPEATED_KEYS = f"{_DUPLICATES} SELECT row, value FROM duplicates ORDER BY row"
_REPEATED_IDS = f"""{_DUPLICATES},
    condemned AS (
        SELECT "staged:row" AS row, "staged:row_id"::UUID AS id FROM read_parquet($scratch)
        WHERE "staged:reason" IS NOT NULL OR "staged:row" IN (SELECT row FROM duplicates)),
    numbered AS (SELECT row, row_number() OVER (PARTITION BY id ORDER BY row) AS value FROM condemned)
    SELECT row, value FROM numbered WHERE value > 1 ORDER BY row"""


@dataclass(frozen=True, slots=True)
class Style:
    """How a stage settles: its name, what it calls a duplicate's first, and how a batch becomes the published one.

    payloads gives the payload of each row of a published batch, where the staged rows carry none. number_repeats
    makes quarantined row ids distinct: the second row of one id ends in #2.
    """

    stage: str
    first: str
    publish: Callable[[pa.RecordBatch], pa.RecordBatch]
    payloads: Callable[[pa.RecordBatch], list[str]] | None = None
    number_repeats: bool = False


@dataclass(frozen=True, slots=True)
class Marks:
    """Row numbers in order, each with a value: a duplicate's first position, or how often an id came before."""

    rows: Any
    values: Any

    def within(self, start: int, count: int) -> Iterator[tuple[int, int]]:
        """Yield the marks of count rows from start, as (index in the batch, value)."""
        low, high = np.searchsorted(self.rows, [start, start + count])
        for row, value in zip(self.rows[low:high], self.values[low:high], strict=True):
            yield int(row) - start, int(value)


@contextmanager
def scratch_folder(into: Path) -> Iterator[Path]:
    """A folder for scratch files inside the output folder, gone afterwards."""
    into.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".scratch-", dir=into) as folder:
        yield Path(folder)


@contextmanager
def bounded_duckdb(scratch: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """An in-memory DuckDB that holds little and spills into the scratch folder."""
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": MEMORY_LIMIT,
        "temp_directory": str(scratch / "spill"),
        "threads": 2,
    }
    with duckdb.connect(":memory:", config=config) as connection:
        yield connection


def parquet_writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """Return a writer of Parquet as all our tables are written."""
    return pq.ParquetWriter(path, schema, compression="zstd", compression_level=1)


def batches(table: Path, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Yield a Parquet file's rows in order, no batch crossing a row group, since these are what bounds bytes."""
    file = pq.ParquetFile(table, pre_buffer=False)
    for group in range(file.num_row_groups):
        yield from file.iter_batches(BATCH_ROWS, row_groups=[group], columns=columns)


def settle(scratch: Path, into: Path, schema: pa.Schema, style: Style) -> tuple[int, int]:
    """Split a staged file into `prompts.parquet` (of the schema) and `quarantine.parquet`; count the rows of each.

    The scratch file has a `position` column, the columns that style.publish needs, and those of META. Both tables
    keep its order, appear under their names only when whole, and of rows with one key the first survives.
    """
    folder = scratch.parent
    duplicates, repeats = _marks(scratch, style)
    prompts, quarantine = folder / "prompts.parquet", folder / "quarantine.parquet"
    kept = quarantined = 0
    with parquet_writer(prompts, schema) as good, parquet_writer(quarantine, QUARANTINE) as bad:
        for batch in batches(scratch):
            rows_out, rows_held = _split(batch, duplicates, repeats, style)
            good.write_batch(rows_out)
            bad.write_batch(rows_held)
            kept, quarantined = kept + rows_out.num_rows, quarantined + rows_held.num_rows
    os.replace(prompts, into / prompts.name)
    os.replace(quarantine, into / quarantine.name)
    return kept, quarantined


def _marks(scratch: Path, style: Style) -> tuple[Marks, Marks]:
    with bounded_duckdb(scratch.parent) as connection:
        duplicates = _query(connection, _REPEATED_KEYS, {"scratch": str(scratch)})
        if not style.number_repeats:
            return duplicates, Marks(duplicates.rows[:0], duplicates.values[:0])
        return duplicates, _query(connection, _REPEATED_IDS, {"scratch": str(scratch)})


def _query(connection: duckdb.DuckDBPyConnection, sql: str, parameters: dict[str, Any]) -> Marks:
    found = connection.execute(sql, parameters).fetchnumpy()
    return Marks(np.asarray(found["row"], dtype=np.int64), np.asarray(found["value"], dtype=np.int64))


def _split(
    batch: pa.RecordBatch, duplicates: Marks, repeats: Marks, style: Style
) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    """Return the published rows of a staged batch, and its quarantined ones."""
    if not batch.num_rows:
        return style.publish(batch), _quarantine(batch, style)
    start = batch.column("staged:row")[0].as_py()
    marked = _mark(batch, start, duplicates, repeats, style)
    stays = pc.is_null(marked.column("staged:reason"))
    return style.publish(marked.filter(stays)), _quarantine(marked.filter(pc.invert(stays)), style)


def _mark(batch: pa.RecordBatch, start: int, duplicates: Marks, repeats: Marks, style: Style) -> pa.RecordBatch:
    """Return the batch with its duplicates condemned and its repeated ids numbered."""
    twice = list(duplicates.within(start, batch.num_rows))
    again = list(repeats.within(start, batch.num_rows))
    if not twice and not again:
        return batch
    reasons, details, ids = (batch.column(f"staged:{name}").to_pylist() for name in ("reason", "detail", "row_id"))
    for index, position in twice:
        reasons[index], details[index] = "duplicate", f"{style.first} at position {position}"
    for index, count in again:
        ids[index] = f"{ids[index]}#{count}"
    for name, values in (("reason", reasons), ("detail", details), ("row_id", ids)):
        place = batch.schema.get_field_index(f"staged:{name}")
        batch = batch.set_column(place, f"staged:{name}", pa.array(values, pa.string()))
    return batch


def _quarantine(batch: pa.RecordBatch, style: Style) -> pa.RecordBatch:
    payload = batch.column("staged:payload")
    if style.payloads is not None:
        payload = pa.array(style.payloads(style.publish(batch)), pa.string())
    stage = pa.array([style.stage] * batch.num_rows, pa.string())
    columns = [stage, *(batch.column(f"staged:{name}") for name in ("row_id", "reason", "detail"))]
    return pa.record_batch([*columns, payload, batch.column("position")], schema=QUARANTINE)
