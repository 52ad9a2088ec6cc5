"""The load itself: rows are read, mapped, staged and settled, in batches of bounded size."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from kasasagi.blocks.canonical import digest_bytes, prompt_id
from kasasagi.blocks.suggestions import nearest
from kasasagi.tasks.load.config import DatasetSource, LoadResult, SourceError
from kasasagi.tasks.load.files.locate import DataLocation, locate
from kasasagi.tasks.load.files.opened import Opened, RawRow
from kasasagi.tasks.load.files.readers import open_rows
from kasasagi.tasks.load.json_text import json_text
from kasasagi.tasks.load.kept_columns import KeptColumn
from kasasagi.tasks.load.provided import check_provided, with_prompt
from kasasagi.tasks.load.rows import Inputs, asked_last, choose_inputs, conversation
from kasasagi.tasks.load.staging import BATCH_ROWS, META, Style, parquet_writer, scratch_folder, settle
from kasasagi.tasks.load.turns import UnfitRowError

BATCH_CHARACTERS = 16 << 20
MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
_PROMPT_FIELDS = [
    pa.field("prompt_id", pa.string()),
    pa.field("messages", MESSAGES),
    pa.field("instruction", pa.string()),
    pa.field("source", pa.string()),
    pa.field("position", pa.int64()),
    pa.field("finish_reason", pa.string()),
]


def load(source: DatasetSource, base: Path, into: Path, limit: int | None) -> LoadResult:
    """Return what `load_prompts` of the package says."""
    place = locate(source, base)
    opened = open_rows(source, place)
    inputs = choose_inputs(source, opened.columns)
    kept = [KeptColumn(name) for name in source.keep]
    _check_kept(source, opened)
    check_provided(source, opened.columns)
    rows = with_prompt(source, islice(opened.rows, _smaller(source.limit, limit)))
    with scratch_folder(into) as folder:
        scratch = folder / "staged.parquet"
        count = _stage(rows, scratch, inputs, kept)
        _check_seen(source, kept, count)
        schema = pa.schema([*_PROMPT_FIELDS, *(column.field() for column in kept)])
        rows_out, quarantined = settle(scratch, into, schema, _style(place, kept, schema))
    return LoadResult(count, rows_out, quarantined, into / "prompts.parquet", into / "quarantine.parquet")


def check(source: DatasetSource, base: Path) -> list[str] | None:
    """Return what `check_source` of the package says."""
    place = locate(source, base)
    if place.path is None:
        return None
    opened = open_rows(source, place)
    choose_inputs(source, opened.columns)
    check_provided(source, opened.columns)
    _check_kept(source, opened)
    if next(iter(opened.rows), None) is None:
        raise SourceError(f"source.path: {source.path!r} contains no rows; add some, or name another file")
    return opened.columns


def _smaller(one: int | None, other: int | None) -> int | None:
    return min((limit for limit in (one, other) if limit is not None), default=None)


def _check_kept(source: DatasetSource, opened: Opened) -> None:
    """Refuse a kept column that a table with fixed columns does not have; rows of objects may have it later."""
    if opened.columns is None or not opened.fixed:
        return
    for name in source.keep:
        if name not in opened.columns:
            raise SourceError(f"keep: {source.path} has no column {name!r}: {nearest(name, opened.columns)}")


def _check_seen(source: DatasetSource, kept: list[KeptColumn], count: int) -> None:
    missing = next((column.name for column in kept if not column.present), None)
    if missing is not None and count:
        raise SourceError(f"keep: no row of {source.path} has a column {missing!r}: correct its name, or drop it")


def _style(place: DataLocation, kept: list[KeptColumn], schema: pa.Schema) -> Style:
    def publish(batch: pa.RecordBatch) -> pa.RecordBatch:
        nothing = pa.nulls(batch.num_rows, pa.string())
        label = pa.array([place.label] * batch.num_rows, pa.string())
        ours = [batch.column("staged:key"), batch.column("messages"), batch.column("instruction"), label]
        theirs = [column.publish(batch.column(f"kept:{index}")) for index, column in enumerate(kept)]
        return pa.record_batch([*ours, batch.column("position"), nothing, *theirs], schema=schema)

    return Style("load", "the same messages as the row", publish, number_repeats=True)


def _stage(rows: Iterator[RawRow], scratch: Path, inputs: Inputs, kept: list[KeptColumn]) -> int:
    """Write every row to the scratch file, fit or not, and count them."""
    texts = [pa.field(f"kept:{index}", pa.string()) for index in range(len(kept))]
    ours = [pa.field("messages", MESSAGES), pa.field("instruction", pa.string()), pa.field("position", pa.int64())]
    schema = pa.schema([*META, *ours, *texts])
    count = 0
    with parquet_writer(scratch, schema) as writer:
        for batch in _batches(_scratch_rows(rows, inputs, kept)):
            columns = zip(*batch, strict=True)
            arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
            writer.write_batch(pa.record_batch(arrays, schema=schema))
            count += len(batch)
    return count


def _batches(rows: Iterator[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    """Batches of rows, bounded in number and in characters of payload."""
    batch: list[tuple[Any, ...]] = []
    characters = 0
    for row in rows:
        batch.append(row)
        characters += len(row[5])
        if len(batch) >= BATCH_ROWS or characters >= BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def _scratch_rows(rows: Iterator[RawRow], inputs: Inputs, kept: list[KeptColumn]) -> Iterator[tuple[Any, ...]]:
    """Yield each row in the order of the scratch schema."""
    nothing = (None,) * len(kept)
    for position, row in enumerate(rows):
        payload, clean = (row.raw.decode("utf-8", "replace"), True) if row.raw is not None else json_text(row.value)
        row_id = digest_bytes(row.raw if row.raw is not None else payload.encode())
        try:
            messages = _messages(row, clean, inputs)
        except UnfitRowError as unfit:
            yield (position, None, row_id, unfit.reason, unfit.detail, payload, None, None, position, *nothing)
            continue
        texts = [column.stage(row.value) for column in kept]
        ours = (messages, asked_last(messages), position)
        yield (position, prompt_id(messages), row_id, None, None, payload, *ours, *texts)


def _messages(row: RawRow, clean: bool, inputs: Inputs) -> list[dict[str, str]]:
    if row.reason is not None:
        raise UnfitRowError(row.reason, row.detail or "")
    if not clean:
        raise UnfitRowError("invalid_utf8", "a lone surrogate or bytes that are no UTF-8")
    if not isinstance(row.value, dict):
        raise UnfitRowError("not_an_object", f"the row is a {type(row.value).__name__}")
    return conversation(row.value, inputs)
