"""Rows out of Parquet, folders saved by `datasets`, and the Hub: Arrow batches, and no code of the dataset's own."""

from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from blocks.nearest import nearest
from tasks.load.config import DatasetSource, SourceError
from tasks.load.locate import Place
from tasks.load.readers import Opened, RawRow

_BATCH_ROWS = 1000


def open_columnar(source: DatasetSource, place: Place) -> Opened:
    """Open a Parquet file, a saved dataset or a Hub id. Raises SourceError where it cannot be opened."""
    if place.format == "parquet":
        return _open_parquet(place)
    dataset = _hub_dataset(source) if place.format == "hub" else _saved_dataset(source, place)
    names = dataset.column_names
    return Opened(list(names) if names else None, _dataset_rows(dataset, place))


def _open_parquet(place: Place) -> Opened:
    try:
        file = pq.ParquetFile(place.file, pre_buffer=False)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise SourceError(f"{place.file} is no Parquet file ({_one_line(error)}): name its format") from error
    return Opened(list(file.schema_arrow.names), _rows(file.iter_batches(_BATCH_ROWS), place.label))


def _saved_dataset(source: DatasetSource, place: Place) -> Any:
    import datasets

    try:
        found = datasets.load_from_disk(str(place.file))
    except Exception as error:
        raise SourceError(f"{place.file} is no saved dataset ({_one_line(error)}): save it again") from error
    if not isinstance(found, datasets.DatasetDict):
        return found
    split = source.split or ("train" if "train" in found or len(found) != 1 else next(iter(found)))
    if split not in found:
        raise SourceError(f"source.split: {place.file} has no split {split!r}: {nearest(split, found)}")
    return found[split]


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
            f"source.path {source.path!r} is no file here, and the Hub did not give it ({_one_line(error)}): "
            "check the id, the name, the split and the network"
        ) from error


def _dataset_rows(dataset: Any, place: Place) -> Iterator[RawRow]:
    tables = dataset.with_format("arrow").iter(batch_size=_BATCH_ROWS)
    return _rows((batch for table in tables for batch in table.to_batches()), place.label)


def _rows(batches: Iterable[pa.RecordBatch], label: str) -> Iterator[RawRow]:
    """The rows of some batches; one that cannot be decoded does not cost its neighbours."""
    try:
        for batch in batches:
            yield from _batch_rows(batch)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise SourceError(f"{label} cannot be read to its end ({_one_line(error)}): fetch it again") from error


def _batch_rows(batch: pa.RecordBatch) -> Iterator[RawRow]:
    try:
        rows = batch.to_pylist()
    except UnicodeDecodeError:
        return (_single_row(batch.slice(index, 1)) for index in range(batch.num_rows))
    return (RawRow(row) for row in rows)


def _single_row(row: pa.RecordBatch) -> RawRow:
    try:
        return RawRow(row.to_pylist()[0])
    except UnicodeDecodeError as error:
        shown = {name: _shown(row.column(name)) for name in row.schema.names}
        raw = repr(shown).encode()
        return RawRow(raw=raw, reason="invalid_utf8", detail=f"byte {error.start + 1} of a text: {error.reason}")


def _shown(column: pa.Array) -> Any:
    """A cell for show: text with its invalid bytes replaced, anything else as it is if it can be decoded at all."""
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
