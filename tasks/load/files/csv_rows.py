"""Rows out of csv files: each whole, or with the reason why not."""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO

from kasasagi.blocks.canonical import SURROGATES
from kasasagi.tasks.load.config import DatasetSource, SourceError
from kasasagi.tasks.load.files.encodings import check_encoding, misread
from kasasagi.tasks.load.files.locate import DataLocation
from kasasagi.tasks.load.files.opened import RawRow
from kasasagi.tasks.load.files.streams import (
    DAMAGE,
    MAX_LINE_BYTES,
    SHOWN_BYTES,
    check_kind,
    damage,
    head_of,
    open_bytes,
)

USUAL = (";", "\t", "|", ",")
UNUSUAL = ("^", "~", "\x01", "\x1f", "¦", ":", "#")
HEAD_LINES = 5


class _Recorder:
    """The lines of a csv file, remembering those of the row being read."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self.lines = 0
        self.taken: list[str] = []

    def __iter__(self) -> "_Recorder":
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        line = line if self.lines else line.removeprefix("\ufeff")
        self.lines += 1
        self.taken.append(line)
        return line

    def row(self) -> bytes:
        """Return the text of the row just read, shortened where it is very long."""
        text, self.taken = "".join(self.taken), []
        return text[:SHOWN_BYTES].encode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True)
class CsvForm:
    """How a csv file is written."""

    encoding: str
    delimiter: str
    named: str | None = None

    def misread(self, raw: bytes) -> str:
        """Say what to do about a row with bytes that are not text in the file's encoding."""
        return misread(raw, self.named)


def csv_form(source: DatasetSource, place: DataLocation) -> CsvForm:
    """Return how a csv file is read: as the recipe says, by default as UTF-8 with commas, or with tabs for a .tsv file.

    Raises:
        SourceError: The beginning of the file shows that it has another encoding or delimiter.
    """
    delimiter = source.delimiter or ("\t" if ".tsv" in place.file.name.lower() else ",")
    form = CsvForm(source.encoding or "utf-8", delimiter, source.encoding)
    head = head_of(place)
    check_kind(head, place)
    if source.encoding is None:
        check_encoding(head, place)
    lines = head.decode(form.encoding, "replace").removeprefix("\ufeff").strip().split("\n")[:HEAD_LINES]
    first = lines[0]
    others = [sign for sign in USUAL if sign != delimiter and sign in first] or _unusual_delimiters(lines)
    if source.delimiter is None and delimiter not in first and others:
        raise SourceError(
            f"{place.file} names one column {first.strip()[:60]!r}: set delimiter: {others[0]!r} if that sign divides "
            f"its columns, or delimiter: {delimiter!r} if it has one column"
        )
    return form


def _unusual_delimiters(lines: Sequence[str]) -> list[str]:
    """Return the signs that seldom divide columns, but divide all these lines into equally many fields."""
    counts = {sign: {line.count(sign) for line in lines} for sign in UNUSUAL}
    return [sign for sign, found in counts.items() if len(lines) > 1 and len(found) == 1 and found != {0}]


def _csv_reader(file: IO[bytes], form: CsvForm) -> tuple[_Recorder, Callable[[], list[str] | None]]:
    """Return a recorder and the function that gives the next row (None at the end); csv.Error for a row
    that is broken.
    """
    csv.field_size_limit(MAX_LINE_BYTES)
    text = io.TextIOWrapper(file, encoding=form.encoding, errors="surrogateescape", newline="")
    recorder = _Recorder(iter(text))
    reader = csv.reader(recorder, strict=True, delimiter=form.delimiter)
    return recorder, lambda: next(reader, None)


def csv_header(place: DataLocation, form: CsvForm) -> list[str] | None:
    """Return the columns that a file names, None for an empty file. Raises SourceError."""
    with open_bytes(place) as file:
        _, read = _csv_reader(file, form)
        try:
            header = read()
        except csv.Error as error:
            raise SourceError(f"{place.file} has a broken first line ({error}): it must name the columns") from error
        except DAMAGE as error:
            raise damage(place, error) from error
    if any("\0" in name for name in header or []):
        raise SourceError(f"{place.file} has a NUL byte in its first line, which names the columns: take it out")
    doubled = next((name for name in header or [] if (header or []).count(name) > 1), None)
    if doubled is not None:
        raise SourceError(f"{place.file} names the column {doubled!r} twice: rename one")
    return header or None


def csv_rows(place: DataLocation, form: CsvForm) -> Iterator[RawRow]:
    """Yield the rows below the header.

    Raises:
        SourceError: If a quote is never closed.
    """
    with open_bytes(place) as file:
        recorder, read = _csv_reader(file, form)
        header = read() or []
        recorder.row()
        while True:
            first = recorder.lines + 1
            try:
                fields = read()
            except csv.Error as error:
                yield _broken_row(error, first, recorder, place)
                continue
            if fields is None:
                return
            if fields:
                yield _row(fields, header, first, recorder, form)
            recorder.row()


def _broken_row(error: csv.Error, first: int, recorder: _Recorder, place: DataLocation) -> RawRow:
    """Return a row that is no row of a csv file; SourceError where an open quote would take in all lines behind it."""
    lines, where = recorder.lines - first + 1, _lines_named(first, recorder.lines)
    if lines > 1 and "unexpected end of data" in str(error):
        raise SourceError(
            f"{place.file}: the quote that opens in line {first} is never closed, so that {lines} lines would be "
            "one row: close it, or double it if it is part of the text"
        ) from error
    detail = f"{where}: {error}"
    if lines > 1:
        detail += f"; close the quote that opens in line {first}, or double it if it is part of the text"
    return RawRow(raw=recorder.row(), reason="broken_row", detail=detail)


def _row(fields: list[str], header: list[str], first: int, recorder: _Recorder, form: CsvForm) -> RawRow:
    """Return the row of some fields, or the reason why it is none."""
    where, lines = _lines_named(first, recorder.lines), recorder.taken
    if len(fields) != len(header):
        detail = f"{where}: {len(fields)} fields, but the header has {len(header)}"
        return RawRow(raw=recorder.row(), reason="broken_row", detail=detail)
    if look_like_rows(lines, header, form.delimiter):
        detail = (
            f"{where}: a quote joins lines that look like rows of their own; take the quote out of line {first}, "
            "or put quotes around every field of the row if it is one"
        )
        return RawRow(raw=recorder.row(), reason="broken_row", detail=detail)
    if any("\0" in line for line in lines):
        return RawRow(raw=recorder.row(), reason="broken_row", detail=f"{where}: a NUL byte; take it out")
    if any(map(SURROGATES.search, lines)):
        raw = recorder.row()
        return RawRow(raw=raw, reason="invalid_utf8", detail=f"{where}: {form.misread(raw)}")
    return RawRow(dict(zip(header, fields, strict=True)))


def look_like_rows(lines: Sequence[str], header: Sequence[str], delimiter: str) -> bool:
    """Say whether the lines of one row look like rows of their own, which a stray quote has joined.

    Each has as many fields as the header, none of them blank or, as after a comma in prose, with a blank before it,
    and the row has no quotes but the two that join it: those who write rows of several lines often quote more.
    """
    if len(lines) < 2 or len(header) < 2 or sum(line.count('"') for line in lines) != 2:
        return False
    indented = any(name[:1].isspace() for name in header)
    rows = [line.replace('"', "").rstrip("\r\n").split(delimiter) for line in lines]
    blank = any(not field.strip() or (field[0].isspace() and not indented) for row in rows for field in row)
    return not blank and all(len(row) == len(header) for row in rows)


def _lines_named(first: int, last: int) -> str:
    return f"lines {first} to {last}" if last > first else f"line {first}"
