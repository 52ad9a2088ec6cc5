"""Rows out of jsonl and json files: each whole, or with the reason why not."""

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any

import orjson

from kasasagi.blocks.canonical import SURROGATES
from kasasagi.tasks.load.config import SourceError
from kasasagi.tasks.load.files.encodings import is_utf8, misread
from kasasagi.tasks.load.files.locate import DataLocation
from kasasagi.tasks.load.files.opened import RawRow
from kasasagi.tasks.load.files.streams import MAX_LINE_BYTES, lines_of, open_utf8


def jsonl_rows(place: DataLocation, encoding: str | None) -> Iterator[RawRow]:
    """Yield the rows of a file that holds one value a line.

    Raises:
        SourceError: If the file is damaged.
    """
    with open_utf8(place, encoding) as file:
        for number, (line, cut) in enumerate(lines_of(file), 1):
            if cut:
                detail = f"line {number}: more than {MAX_LINE_BYTES:,} bytes"
                yield RawRow(raw=line, reason="too_long_line", detail=detail)
            elif line and not line.isspace():
                yield _parse_line(line, number, encoding)


def _parse_line(line: bytes, number: int, encoding: str | None) -> RawRow:
    try:
        return RawRow(orjson.loads(line), line)
    except orjson.JSONDecodeError as error:
        if (value := _lenient(line)) is not None:
            return RawRow(value, line)
        if not is_utf8(line):
            return RawRow(raw=line, reason="invalid_utf8", detail=f"line {number}: {misread(line, encoding)}")
        reason, detail = _why_unreadable(line, f"column {error.colno}: {error.msg}")
        hint = "; set format: json if the file is one array" if number == 1 and line[:1] == b"[" else ""
        return RawRow(raw=line, reason=reason, detail=f"line {number}, {detail}{hint}")


def _lenient(line: bytes) -> Any:
    """Return the value of a line that is JSON but for NaN, Infinity or a number too large; None for another."""
    try:
        value = json.loads(line.decode())
    except (ValueError, RecursionError):
        return None
    return None if SURROGATES.search(json.dumps(value, ensure_ascii=False)) else value


def _why_unreadable(line: bytes, detail: str) -> tuple[str, str]:
    """broken_json, or invalid_utf8 where only lone surrogates keep the line from being JSON."""
    try:
        value = json.loads(line.decode())
    except (ValueError, RecursionError):
        return "broken_json", detail
    lone = SURROGATES.search(json.dumps(value, ensure_ascii=False))
    return ("invalid_utf8", "a lone surrogate") if lone else ("broken_json", detail)


def is_lines(place: DataLocation, encoding: str | None) -> bool:
    """Return whether a .json file holds one object a line, as many do.

    Raises:
        SourceError: If the file is damaged.
    """
    with open_utf8(place, encoding) as file:
        lines = (line for line, _ in lines_of(file) if line.strip())
        first, second = next(lines, b""), next(lines, b"")
    if not second:
        return False
    try:
        return isinstance(orjson.loads(first), dict)
    except orjson.JSONDecodeError:
        return False


def json_rows(place: DataLocation, encoding: str | None) -> list[RawRow]:
    """Return the rows of a file that is one JSON text.

    Raises:
        SourceError: If it has no list of them.
    """
    with open_utf8(place, encoding) as file:
        data = file.read().removeprefix(codecs.BOM_UTF8)
    if not data.strip():
        return []
    values = _list_in(_parse_document(data, place, encoding), place)
    if is_utf8(data):
        return [RawRow(value) for value in values]
    return [_checked(value, number, encoding) for number, value in enumerate(values, 1)]


def _list_in(value: Any, place: DataLocation) -> list[Any]:
    lists = [item for item in value.values() if isinstance(item, list)] if isinstance(value, dict) else []
    if isinstance(value, list):
        return value
    if len(lists) == 1:
        return lists[0]
    raise SourceError(f"{place.file} holds no list of rows: make it an array of objects, or save it as .jsonl")


def _checked(value: Any, number: int, encoding: str | None) -> RawRow:
    """Return a row of a JSON text that has invalid bytes in it, with the reason where they are in this row."""
    text = json.dumps(value, ensure_ascii=False)
    if not re.search("[\udc80-\udcff]", text):
        return RawRow(value)
    raw = text.encode("utf-8", "surrogateescape")
    return RawRow(raw=raw, reason="invalid_utf8", detail=f"row {number}: {misread(raw, encoding)}")


def _parse_document(data: bytes, place: DataLocation, encoding: str | None) -> Any:
    """Return a whole JSON text; where bytes or surrogates in it are invalid, they are left in for their own rows to
    answer.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        try:
            return json.loads(data.decode("utf-8", "surrogateescape"))
        except (ValueError, RecursionError):
            if not is_utf8(data):
                raise SourceError(f"{place.file}: {misread(data, encoding)}") from error
            raise SourceError(f"{place.file} is not one JSON text ({error}): fix it, or save it as .jsonl") from error
