"""Rows out of jsonl, json and csv files, plain or compressed, one at a time, each whole or with the reason why not."""

import bz2
import codecs
import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any, cast

import orjson

from kasasagi.blocks.canonical import SURROGATES
from kasasagi.tasks.load.config import DatasetSource, SourceError
from kasasagi.tasks.load.files.locate import Place, locate
from kasasagi.tasks.load.files.opened import Opened, RawRow

MAX_LINE_BYTES = 64 << 20
PEEK_ROWS = 1000
_SHOWN_BYTES = 64 << 10
_PEEK_BYTES = 1 << 20


def open_rows(source: DatasetSource, place: Place) -> Opened:
    """Open a source for reading from its first row. Raises SourceError where it is not what its format says."""
    if place.format == "csv":
        form = csv_form(source, place)
        return Opened(_csv_header(place, form), _report_damage(place, _csv_rows(place, form)))
    if place.format == "jsonl" or (place.format == "json" and _is_lines(place)):
        return Opened(
            _seen_columns(_report_damage(place, _jsonl_rows(place))), _report_damage(place, _jsonl_rows(place)), False
        )
    if place.format == "json":
        rows = _json_rows(place)
        return Opened(_seen_columns(_json_items(rows)), _json_items(rows), False)
    from kasasagi.tasks.load.files.columnar import open_columnar

    return open_columnar(source, place)


def peek_columns(source: DatasetSource, base: Path) -> list[str] | None:
    """The column names of a source on disk, None for a Hub id, without reading more than it takes."""
    place = locate(source, base)
    return None if place.format == "hub" else open_rows(source, place).columns


def _report_damage(place: Place, rows: Iterator[RawRow]) -> Iterator[RawRow]:
    """The same rows, with damage to the file itself raised as a SourceError."""
    try:
        yield from rows
    except (EOFError, OSError, zlib.error) as error:
        raise SourceError(f"{place.file} cannot be read to its end ({error}): fetch it again") from error


def _open(place: Place) -> IO[bytes]:
    if place.compression == "gzip":
        return cast("IO[bytes]", gzip.open(place.file, "rb"))
    if place.compression == "bz2":
        return cast("IO[bytes]", bz2.open(place.file, "rb"))
    if place.compression == "zstd":
        import pyarrow as pa

        return io.BufferedReader(pa.input_stream(str(place.file), compression="zstd"))
    return place.file.open("rb")


def _lines(file: IO[bytes]) -> Iterator[tuple[bytes, bool]]:
    """The lines of a file without their ends, and whether each was too long and is cut; a BOM is dropped."""
    first = True
    while line := file.readline(MAX_LINE_BYTES + 1):
        cut = len(line) > MAX_LINE_BYTES
        rest = line
        while cut and rest and not rest.endswith(b"\n"):
            rest = file.readline(MAX_LINE_BYTES)
        if first:
            line, first = line.removeprefix(codecs.BOM_UTF8), False
        yield (line[:_SHOWN_BYTES] if cut else line.rstrip(b"\r\n")), cut


def _jsonl_rows(place: Place) -> Iterator[RawRow]:
    with _open(place) as file:
        for line, cut in _lines(file):
            if cut:
                yield RawRow(raw=line, reason="too_long_line", detail=f"more than {MAX_LINE_BYTES:,} bytes")
            elif line and not line.isspace():
                yield _parse_line(line)


def _parse_line(line: bytes) -> RawRow:
    try:
        return RawRow(orjson.loads(line), line)
    except orjson.JSONDecodeError as error:
        if (value := _with_constants(line)) is not None:
            return RawRow(value, line)
        reason, detail = _why_unreadable(line, str(error))
        return RawRow(raw=line, reason=reason, detail=detail)


def _with_constants(line: bytes) -> Any:
    """The value of a line that is JSON but for NaN and Infinity, which pandas and others write; None for another."""
    if b"NaN" not in line and b"Infinity" not in line:
        return None
    try:
        value = json.loads(line.decode())
    except (ValueError, RecursionError):
        return None
    return None if SURROGATES.search(json.dumps(value, ensure_ascii=False)) else value


def _why_unreadable(line: bytes, detail: str) -> tuple[str, str]:
    """broken_json, or invalid_utf8 where only bytes or lone surrogates keep the line from being JSON."""
    try:
        value = json.loads(line.decode())
    except UnicodeDecodeError as error:
        return "invalid_utf8", f"byte {error.start + 1} of the line: {error.reason}"
    except (ValueError, RecursionError):
        return "broken_json", detail
    lone = SURROGATES.search(json.dumps(value, ensure_ascii=False))
    return ("invalid_utf8", "a lone surrogate") if lone else ("broken_json", detail)


def _is_lines(place: Place) -> bool:
    """Whether a .json file holds one object a line, as many do."""
    with _open(place) as file:
        lines = (line for line, _ in _lines(file) if line.strip())
        first, second = next(lines, b""), next(lines, b"")
    if not second:
        return False
    try:
        return isinstance(orjson.loads(first), dict)
    except orjson.JSONDecodeError:
        return False


def _json_rows(place: Place) -> list[Any]:
    with _open(place) as file:
        try:
            data = file.read().removeprefix(codecs.BOM_UTF8)
        except (EOFError, OSError, zlib.error) as error:
            raise SourceError(f"{place.file} cannot be read to its end ({error}): fetch it again") from error
    value = _parse_document(data, place)
    lists = [item for item in value.values() if isinstance(item, list)] if isinstance(value, dict) else []
    if isinstance(value, list):
        return value
    if len(lists) == 1:
        return lists[0]
    raise SourceError(f"{place.file} holds no list of rows: make it an array of objects, or save it as .jsonl")


def _parse_document(data: bytes, place: Place) -> Any:
    """A whole JSON text; where bytes or surrogates in it are invalid, they are left in for their own rows to answer."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        try:
            return json.loads(data.decode("utf-8", "surrogateescape"))
        except (ValueError, RecursionError):
            raise SourceError(f"{place.file} is not one JSON text ({error}): mend it, or save it as .jsonl") from error


def _json_items(rows: list[Any]) -> Iterator[RawRow]:
    return (RawRow(row) for row in rows)


def _seen_columns(rows: Iterator[RawRow]) -> list[str] | None:
    """The keys of the first rows that are objects, in order of appearance."""
    seen: dict[str, None] = {}
    for row in islice(rows, PEEK_ROWS):
        if isinstance(row.value, dict):
            seen.update(dict.fromkeys(row.value))
    return list(seen) or None


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
        return text[:_SHOWN_BYTES].encode("utf-8", "surrogateescape")


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
    with _open(place) as file:
        head = file.read(_PEEK_BYTES)
    if source.encoding is None:
        _check_encoding(head, place)
    first = head.decode(form.encoding, "replace").partition("\n")[0]
    others = [sign for sign in (";", "\t", "|", ",") if sign != delimiter and sign in first]
    if source.delimiter is None and delimiter not in first and others:
        raise SourceError(
            f"{place.file} names one column {first.strip()[:60]!r}: set delimiter: {others[0]!r} if that sign divides "
            f"its columns, or delimiter: {delimiter!r} if it has one column"
        )
    return form


def _check_encoding(head: bytes, place: Place) -> None:
    """Refuse a file that is not UTF-8 as a whole; single lines that are not are a matter of their own rows."""
    marks = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
    found = next((name for mark, name in marks.items() if head.startswith(mark)), "utf-16" if b"\x00" in head else None)
    lines = [line for line in head.split(b"\n")[:-1] or [head] if line.strip()]
    broken = [line for line in lines if not _is_utf8(line)]
    if found is None and 2 * len(broken) <= len(lines):
        return
    guess = found or ("cp932" if all(_decodes(line, "cp932") for line in broken) else "latin-1")
    line = 1 if found else head.split(b"\n").index(broken[0]) + 1
    raise SourceError(f"{place.file} is not UTF-8 (line {line}): set encoding, for example encoding: {guess}")


def _is_utf8(line: bytes) -> bool:
    return _decodes(line, "utf-8")


def _decodes(line: bytes, encoding: str) -> bool:
    try:
        line.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _csv_reader(file: IO[bytes], form: CsvForm) -> tuple[_Recorder, Callable[[], list[str] | None]]:
    """A recorder and the function that gives the next row (None at the end); csv.Error for a row that is broken."""
    csv.field_size_limit(MAX_LINE_BYTES)
    text = io.TextIOWrapper(file, encoding=form.encoding, errors="surrogateescape", newline="")
    recorder = _Recorder(iter(text))
    reader = csv.reader(recorder, strict=True, delimiter=form.delimiter)
    return recorder, lambda: next(reader, None)


def _csv_header(place: Place, form: CsvForm) -> list[str] | None:
    with _open(place) as file:
        _, read = _csv_reader(file, form)
        try:
            header = read()
        except csv.Error as error:
            raise SourceError(f"{place.file} has a broken first line ({error}): it must name the columns") from error
    doubled = next((name for name in header or [] if (header or []).count(name) > 1), None)
    if doubled is not None:
        raise SourceError(f"{place.file} names the column {doubled!r} twice: rename one")
    return header or None


def _csv_rows(place: Place, form: CsvForm) -> Iterator[RawRow]:
    with _open(place) as file:
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
