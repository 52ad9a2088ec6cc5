"""How large the rows of an Arrow batch are as Python objects: a text that a file holds once may be in every cell."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

MOST_BATCH_BYTES = 64 << 20
MOST_ROW_BYTES = 64 << 20
TEXTS = ("STRING", "NONE", "JSON", "ENUM", "BSON")
"""Parquet's logical types of byte arrays that hold texts; the others hold numbers."""


def text_columns(metadata: Any) -> list[str]:
    """Return the paths of a Parquet file's columns of texts, which Arrow can read without repeating equal ones.

    Args:
        metadata: The metadata of a Parquet file.
    """
    schema = metadata.schema
    columns = [schema.column(place) for place in range(len(schema))]
    return [one.path for one in columns if one.physical_type == "BYTE_ARRAY" and one.logical_type.type in TEXTS]


def unpacked_bytes(batch: pa.RecordBatch) -> int:
    """Return how many bytes the rows of a batch take, each text counted as often as it is in a cell."""
    return sum(_bytes_of(column) for column in batch.columns)


def _bytes_of(array: pa.Array) -> int:
    kind = array.type
    if pa.types.is_dictionary(kind):
        return _sum(pc.take(_lengths(array.dictionary), array.indices))
    if pa.types.is_struct(kind):
        return sum(map(_bytes_of, array.flatten()))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return _bytes_of(array.flatten())
    if pa.types.is_map(kind):
        return _bytes_of(array.keys) + _bytes_of(array.items)
    return _sum(_lengths(array)) if _is_text(kind) else array.nbytes


def _lengths(array: pa.Array) -> pa.Array:
    """Return the length of each value in bytes."""
    return pc.binary_length(array) if _is_text(array.type) else pa.repeat(array.type.byte_width, len(array))


def _sum(lengths: pa.Array) -> int:
    return pc.sum(pc.cast(lengths, pa.int64())).as_py() or 0


def _is_text(kind: pa.DataType) -> bool:
    texts = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    return any(holds(kind) for holds in texts)
