"""Rows out of csv files: each whole, or with the reason why not."""

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO

from kasasagi.tasks.load.config import DatasetSource, SourceError
from kasasagi.tasks.load.files.encodings import check_encoding
from kasasagi.tasks.load.files.locate import Place
from kasasagi.tasks.load.files.opened import RawRow
from kasasagi.tasks.load.files.streams import MAX_LINE_BYTES, SHOWN_BYTES, head_of, open_bytes


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
        self.lines += 1
        self.taken.append(line)
        return line

    def row(self) -> bytes:
        """The text of the row just read, shortened where it is very long."""
        text, self.taken = "".join(self.taken), []
        return text[:SHOWN_BYTES].encode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True)
class CsvForm:
    """How a csv file is written."""

    encoding: str
    delimiter: str


def csv_form(source: DatasetSource, place: Place) -> CsvForm:
    """How a csv file is to be read: as the recipe says, else UTF-8 with commas, or tabs in a .tsv file.

    Raises SourceError where its beginning shows that it is written otherwise.
    """
    delimiter = source.delimiter or ("\t" if ".tsv" in place.file.name.lower() else ",")
    form = CsvForm(source.encoding or "utf-8-sig", delimiter)
    head = head_of(place)
    if source.encoding is None:
        check_encoding(head, place)
    first = head.decode(form.encoding, "replace").partition("\n")[0]
    others = [sign for sign in (";", "\t", "|", ",") if sign != delimiter and sign in first]
    if source.delimiter is None and delimiter not in first and others:
        raise SourceError(
            f"{place.file} names one column {first.strip()[:60]!r}: set delimiter: {others[0]!r} if that sign divides "
            f"its columns, or delimiter: {delimiter!r} if it has one column"
        )
    return form


def _csv_reader(file: IO[bytes], form: CsvForm) -> tuple[_Recorder, Callable[[], list[str] | None]]:
    """A recorder and the function that gives the next row (None at the end); csv.Error for a row that is broken."""
    csv.field_size_limit(MAX_LINE_BYTES)
    text = io.TextIOWrapper(file, encoding=form.encoding, errors="surrogateescape", newline="")
    recorder = _Recorder(iter(text))
    reader = csv.reader(recorder, strict=True, delimiter=form.delimiter)
    return recorder, lambda: next(reader, None)


def csv_header(place: Place, form: CsvForm) -> list[str] | None:
    """Return the columns that a file names, None for an empty file. Raises SourceError."""
    with open_bytes(place) as file:
        _, read = _csv_reader(file, form)
        try:
            header = read()
        except csv.Error as error:
            raise SourceError(f"{place.file} has a broken first line ({error}): it must name the columns") from error
    doubled = next((name for name in header or [] if (header or []).count(name) > 1), None)
    if doubled is not None:
        raise SourceError(f"{place.file} names the column {doubled!r} twice: rename one")
    return header or None


def csv_rows(place: Place, form: CsvForm) -> Iterator[RawRow]:
    """Yield the rows below the header. Raises SourceError where a quote is never closed."""
    with open_bytes(place) as file:
        recorder, read = _csv_reader(file, form)
        header = read() or []
        recorder.row()
        while True:
            row = _csv_row(read, header, recorder, place)
            if row is None:
                return
            if row.value is not None or row.reason is not None:
                yield row


def _csv_row(
    read: Callable[[], list[str] | None], header: list[str], recorder: _Recorder, place: Place
) -> RawRow | None:
    """The next row, None at the end, an empty RawRow for a blank line.

    Raises SourceError where a quote that is never closed would make one row of all lines behind it.
    """
    first = recorder.lines + 1
    try:
        fields = read()
    except csv.Error as error:
        lines = recorder.lines - first + 1
        if "unexpected end of data" in str(error) and lines > 1:
            raise SourceError(
                f"{place.file}: the quote that opens in line {first} is never closed, so that {lines} lines would be "
                "one row: close it, or double it if it is part of the text"
            ) from error
        return RawRow(raw=recorder.row(), reason="broken_row", detail=f"line {first}: {error}")
    raw = recorder.row()
    if not fields:
        return None if fields is None else RawRow()
    if len(fields) != len(header):
        where = f"lines {first} to {recorder.lines}" if recorder.lines > first else f"line {first}"
        detail = f"{where}: {len(fields)} fields, but the header has {len(header)}"
        return RawRow(raw=raw, reason="broken_row", detail=detail)
    return RawRow(dict(zip(header, fields, strict=True)))
