"""Rows out of Parquet, folders saved by `datasets`, and the Hub: Arrow batches, and no code of the dataset's own."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kasasagi.blocks.suggestions import nearest
from kasasagi.tasks.load.config import DatasetSource, SourceError
from kasasagi.tasks.load.files.formats import split_and_part
from kasasagi.tasks.load.files.locate import DataLocation
from kasasagi.tasks.load.files.opened import Opened, RawRow
from kasasagi.tasks.load.files.unpacked import MOST_BATCH_BYTES, MOST_ROW_BYTES, text_columns, unpacked_bytes

_BATCH_ROWS = 1000
_PARQUET_ROWS = 64
_MOST_UNPACKED, _MOST_TIMES = 1 << 30, 200


def open_columnar(source: DatasetSource, place: DataLocation) -> Opened:
    """Open a Parquet file, a saved dataset or a Hub id.

    Raises:
        SourceError: If it cannot be opened.
    """
    if place.format == "parquet":
        return _open_parquet(source, place)
    dataset = _hub_dataset(source) if place.format == "hub" else _saved_dataset(source, place)
    names = dataset.column_names
    return Opened(list(names) if names else None, _dataset_rows(dataset, place))


def _open_parquet(source: DatasetSource, place: DataLocation) -> Opened:
    """Return a Parquet file, or a folder of them whose columns are the same."""
    paths = [shard.file for shard in place.shards or (place,)]
    files = [_parquet_file(path) for path in paths]
    names = list(files[0].schema_arrow.names)
    if (twice := next((name for name in names if names.count(name) > 1), None)) is not None:
        raise SourceError(f"{paths[0]} has two columns of the name {twice!r}: rename one")
    for path, file in zip(paths, files, strict=True):
        if list(file.schema_arrow.names) != names:
            raise SourceError(f"{path} has other columns than {paths[0]}: name one file, or one split")
    return Opened(names, _rows(_batches(files), place.label))


def _parquet_file(path: Path) -> Any:
    try:
        file = pq.ParquetFile(path, pre_buffer=False)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise SourceError(f"{path} is not a Parquet file ({_one_line(error)}): name its format") from error
    _check_size(path, file.metadata)
    return pq.ParquetFile(path, pre_buffer=False, read_dictionary=text_columns(file.metadata))


def _check_size(path: Path, metadata: Any) -> None:
    """Refuse a column that unpacks to far more than texts do: one page of it may fill the memory."""
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    for column in (group.column(place) for group in groups for place in range(metadata.num_columns)):
        unpacked, packed = column.total_uncompressed_size, max(1, column.total_compressed_size)
        if unpacked > _MOST_UNPACKED and unpacked > _MOST_TIMES * packed:
            raise SourceError(
                f"{path}: the column {column.path_in_schema!r} unpacks from {packed:,} to {unpacked:,} bytes, which no "
                "text does: check it, and write it in row groups of fewer rows if it is sound"
            )


def _batches(files: Iterable[Any]) -> Iterator[pa.RecordBatch]:
    """Yield the batches of some files, each of few rows: a long text that a file holds once may be in all of them."""
    for file in files:
        yield from file.iter_batches(_PARQUET_ROWS)


def _saved_dataset(source: DatasetSource, place: DataLocation) -> Any:
    import datasets

    try:
        found = datasets.load_from_disk(str(place.file))
    except Exception as error:
        raise SourceError(f"{place.file} is not a saved dataset ({_one_line(error)}): save it again") from error
    split, part = split_and_part(source)
    if isinstance(found, datasets.DatasetDict):
        split = split or ("train" if "train" in found or len(found) != 1 else next(iter(found)))
        if split not in found:
            raise SourceError(f"source.split: {place.file} has no split {split!r}: {nearest(split, found)}")
        found = found[split]
    elif split not in (None, own := _split_of(found)):
        raise SourceError(
            f"source.split: {place.file} is one dataset, its split {own}, and has no split {split!r}: remove it"
        )
    if part is None or not len(found):
        return found
    return found.select(range(*part.indices(len(found))) or range(0))


def _split_of(dataset: Any) -> str:
    """Return the split that a saved dataset was, as the Hub names what has no name."""
    return str(dataset.split or "train").partition("[")[0]


def _hub_dataset(source: DatasetSource) -> Any:
    import datasets

    try:
        return datasets.load_dataset(
            source.path,
            source.name,
            split=source.split or "train",
            revision=source.revision,
            streaming=source.streaming,
        )
    except Exception as error:
        raise SourceError(
            f"source.path {source.path!r} is not a file here, and the Hub did not give it ({_one_line(error)}): "
            "check the id, the name, the split and the network"
        ) from error


def _dataset_rows(dataset: Any, place: DataLocation) -> Iterator[RawRow]:
    tables = dataset.with_format("arrow").iter(batch_size=_BATCH_ROWS)
    return _rows((batch for table in tables for batch in table.to_batches()), place.label)


def _rows(batches: Iterable[pa.RecordBatch], label: str) -> Iterator[RawRow]:
    """Yield the rows of some batches; one that cannot be decoded does not cost its neighbours."""
    try:
        for batch in batches:
            yield from _batch_rows(batch)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise SourceError(f"{label} cannot be read to its end ({_one_line(error)}): fetch it again") from error


def _batch_rows(batch: pa.RecordBatch) -> Iterator[RawRow]:
    if unpacked_bytes(batch) > MOST_BATCH_BYTES:
        return (_single_row(batch.slice(index, 1)) for index in range(batch.num_rows))
    try:
        rows = batch.to_pylist()
    except UnicodeDecodeError:
        return (_single_row(batch.slice(index, 1)) for index in range(batch.num_rows))
    return (RawRow(row) for row in rows)


def _single_row(row: pa.RecordBatch) -> RawRow:
    if (size := unpacked_bytes(row)) > MOST_ROW_BYTES:
        detail = f"the row unpacks to {size:,} bytes, at most {MOST_ROW_BYTES:,} are read"
        return RawRow(raw=detail.encode(), reason="row_too_large", detail=detail)
    try:
        return RawRow(row.to_pylist()[0])
    except UnicodeDecodeError as error:
        shown = {name: _shown(row.column(name)) for name in row.schema.names}
        raw = repr(shown).encode()
        return RawRow(raw=raw, reason="invalid_utf8", detail=f"byte {error.start + 1} of a text: {error.reason}")


def _shown(column: pa.Array) -> Any:
    """Return a cell for show: text with its invalid bytes replaced, anything else as it is if it can be
    decoded at all.
    """
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        value = column.cast(pa.large_binary())[0].as_py()
        return None if value is None else value.decode("utf-8", "replace")
    try:
        return column[0].as_py()
    except UnicodeDecodeError:
        return f"<{column.type} with invalid UTF-8>"


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 200 else text[:199] + "…"
