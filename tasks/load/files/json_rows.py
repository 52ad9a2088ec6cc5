"""Rows out of jsonl and json files: each whole, or with the reason why not."""

import codecs
import json
from collections.abc import Iterator
from typing import Any

import orjson

from kasasagi.blocks.canonical import SURROGATES
from kasasagi.tasks.load.config import SourceError
from kasasagi.tasks.load.files.locate import Place
from kasasagi.tasks.load.files.opened import RawRow
from kasasagi.tasks.load.files.streams import DAMAGE, MAX_LINE_BYTES, damage, lines_of, open_bytes


def jsonl_rows(place: Place) -> Iterator[RawRow]:
    """Yield the rows of a file that holds one value a line."""
    with open_bytes(place) as file:
        for line, cut in lines_of(file):
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


def is_lines(place: Place) -> bool:
    """Whether a .json file holds one object a line, as many do."""
    with open_bytes(place) as file:
        lines = (line for line, _ in lines_of(file) if line.strip())
        first, second = next(lines, b""), next(lines, b"")
    if not second:
        return False
    try:
        return isinstance(orjson.loads(first), dict)
    except orjson.JSONDecodeError:
        return False


def json_values(place: Place) -> list[Any]:
    """Return the rows of a file that is one JSON text. Raises SourceError where it has no list of them."""
    with open_bytes(place) as file:
        try:
            data = file.read().removeprefix(codecs.BOM_UTF8)
        except DAMAGE as error:
            raise damage(place, error) from error
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
