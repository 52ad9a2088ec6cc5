"""Rows out of any source, one at a time, each whole or with the reason why not."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

from kasasagi.tasks.load.config import DatasetSource, SourceError
from kasasagi.tasks.load.files.csv_rows import csv_form, csv_header, csv_rows
from kasasagi.tasks.load.files.encodings import check_json_encoding
from kasasagi.tasks.load.files.formats import split_and_part
from kasasagi.tasks.load.files.json_rows import is_lines, json_rows, jsonl_rows
from kasasagi.tasks.load.files.locate import DataLocation, locate
from kasasagi.tasks.load.files.opened import Opened, RawRow
from kasasagi.tasks.load.files.streams import check_kind, head_of, report_damage

PEEK_ROWS = 1000


def open_rows(source: DatasetSource, place: DataLocation) -> Opened:
    """Open a source for reading from its first row.

    Raises:
        SourceError: If it is not what its format says.
    """
    if place.shards:
        return _open_shards(source, place)
    if place.format == "csv":
        form = csv_form(source, place)
        return Opened(csv_header(place, form), report_damage(place, csv_rows(place, form)))
    if place.format in ("jsonl", "json"):
        return _open_json(source, place)
    from kasasagi.tasks.load.files.columnar import open_columnar

    return open_columnar(source, place)


def _open_shards(source: DatasetSource, place: DataLocation) -> Opened:
    """Open the files of a folder as one source, of whose rows the recipe may name a part."""
    opened = _open_files(source, place)
    _, part = split_and_part(source)
    if part is None:
        return opened
    ends = (part.start or 0, part.stop or 0)
    if min(ends) < 0:
        part = slice(*part.indices(sum(1 for _ in _open_files(source, place).rows)))
    return replace(opened, rows=islice(opened.rows, part.start, part.stop))


def _open_files(source: DatasetSource, place: DataLocation) -> Opened:
    if place.format == "parquet":
        from kasasagi.tasks.load.files.columnar import open_columnar

        return open_columnar(source, place)
    first = open_rows(source, place.shards[0])
    rows = (row for shard in place.shards for row in _shard_rows(source, shard, first.columns))
    return replace(first, rows=rows)


def _shard_rows(source: DatasetSource, shard: DataLocation, columns: list[str] | None) -> Iterator[RawRow]:
    opened = open_rows(source, shard)
    if opened.fixed and opened.columns != columns:
        raise SourceError(f"{shard.file} has other columns than the first file: name one file, or one split")
    return opened.rows


def _open_json(source: DatasetSource, place: DataLocation) -> Opened:
    head = head_of(place)
    check_kind(head, place)
    by_lines = place.format == "jsonl"
    if source.encoding is None:
        check_json_encoding(head, place)
    if by_lines or is_lines(place, source.encoding):
        seen, rows = (jsonl_rows(place, source.encoding) for _ in range(2))
        return Opened(_seen_columns(seen), rows, False)
    records = json_rows(place, source.encoding)
    return Opened(_seen_columns(iter(records)), iter(records), False)


def peek_columns(source: DatasetSource, base: Path) -> list[str] | None:
    """Return the column names of a source on disk, None for a Hub id, without reading more than it takes."""
    place = locate(source, base)
    return None if place.format == "hub" else open_rows(source, place).columns


def _seen_columns(rows: Iterator[RawRow]) -> list[str] | None:
    """Return the keys of the first rows that are objects, in order of appearance."""
    seen: dict[str, None] = {}
    for row in islice(rows, PEEK_ROWS):
        if isinstance(row.value, dict):
            seen.update(dict.fromkeys(row.value))
    return list(seen) or None
