"""Rows out of any source, one at a time, each whole or with the reason why not."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from kasasagi.tasks.load.config import DatasetSource
from kasasagi.tasks.load.files.csv_rows import csv_form, csv_header, csv_rows
from kasasagi.tasks.load.files.encodings import check_json_encoding
from kasasagi.tasks.load.files.json_rows import is_lines, json_rows, jsonl_rows
from kasasagi.tasks.load.files.locate import Place, locate
from kasasagi.tasks.load.files.opened import Opened, RawRow
from kasasagi.tasks.load.files.streams import check_kind, head_of, report_damage

PEEK_ROWS = 1000


def open_rows(source: DatasetSource, place: Place) -> Opened:
    """Open a source for reading from its first row. Raises SourceError where it is not what its format says."""
    if place.format == "csv":
        form = csv_form(source, place)
        return Opened(csv_header(place, form), report_damage(place, csv_rows(place, form)))
    if place.format in ("jsonl", "json"):
        return _open_json(source, place)
    from kasasagi.tasks.load.files.columnar import open_columnar

    return open_columnar(source, place)


def _open_json(source: DatasetSource, place: Place) -> Opened:
    head = head_of(place)
    check_kind(head, place)
    by_lines = place.format == "jsonl"
    if source.encoding is None:
        check_json_encoding(head, place)
    if by_lines or is_lines(place, source.encoding):
        seen, rows = (jsonl_rows(place, source.encoding) for _ in range(2))
        return Opened(_seen_columns(seen), rows, False)
    held = json_rows(place, source.encoding)
    return Opened(_seen_columns(iter(held)), iter(held), False)


def peek_columns(source: DatasetSource, base: Path) -> list[str] | None:
    """The column names of a source on disk, None for a Hub id, without reading more than it takes."""
    place = locate(source, base)
    return None if place.format == "hub" else open_rows(source, place).columns


def _seen_columns(rows: Iterator[RawRow]) -> list[str] | None:
    """The keys of the first rows that are objects, in order of appearance."""
    seen: dict[str, None] = {}
    for row in islice(rows, PEEK_ROWS):
        if isinstance(row.value, dict):
            seen.update(dict.fromkeys(row.value))
    return list(seen) or None
