"""Rows as JSON lines, CSV or Parquet, written as they come."""

import csv
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import orjson
import pyarrow.parquet as pq

from kasasagi.flows.errors import KasasagiError, UsageError
from kasasagi.flows.views.safe_text import safe_json, visible
from kasasagi.flows.views.tables.formats import RowFormat, check_output

if TYPE_CHECKING:
    from kasasagi.flows.views.tables.query import QueryResult


def export(result: "QueryResult", form: RowFormat, output: Path | None) -> None:
    """Write all rows of a query, to a file or to the standard output.

    Raises:
        KasasagiError: If that fails.
    """
    check_output(form, output)
    if output is None:
        _to_stdout(result, form)
        return
    with whole(output) as new:
        if form is RowFormat.parquet:
            _write_parquet(result, new)
            return
        with new.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            _write(result, form, file, safe=False)


def json_line(value: Any) -> str:
    """Return a value as one line of JSON: UTF-8 as it is, only what could disturb a terminal escaped."""
    return _dump(value)


def json_text(value: Any) -> str:
    """Return a value as indented JSON, in the same way."""
    return _dump(value, indent=2)


def print_json(value: Any) -> None:
    """Print a value as indented JSON on the standard output, in UTF-8."""
    _utf8_stdout().write(json_text(value) + "\n")


def _dump(value: Any, indent: int | None = None) -> str:
    options = orjson.OPT_NON_STR_KEYS | (orjson.OPT_INDENT_2 if indent else 0)
    try:
        return safe_json(orjson.dumps(value, default=_plain, option=options).decode())
    except TypeError:  # a number of more than 64 bits
        return safe_json(json.dumps(value, default=_plain, ensure_ascii=False, indent=indent))


def _to_stdout(result: "QueryResult", form: RowFormat) -> None:
    out = _utf8_stdout()
    try:
        _write(result, form, out, safe=out.isatty())
        out.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None


def _utf8_stdout() -> Any:
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    return sys.stdout


def _write(result: "QueryResult", form: RowFormat, file: IO[str], safe: bool) -> None:
    (_write_csv if form is RowFormat.csv else _write_jsonl)(result.names, result.batches(), file, safe)


def _write_jsonl(names: Sequence[str], batches: Iterable[Sequence[Sequence[Any]]], file: IO[str], safe: bool) -> None:
    for rows in batches:
        file.writelines(json_line(dict(zip(names, row, strict=True))) + "\n" for row in rows)


def _write_csv(names: Sequence[str], batches: Iterable[Sequence[Sequence[Any]]], file: IO[str], safe: bool) -> None:
    writer = csv.writer(file, lineterminator="\n")
    made: Callable[[str], str] = visible if safe else str
    writer.writerow([made(name) for name in names])
    for rows in batches:
        writer.writerows([_csv_cell(value, made) for value in row] for row in rows)


def _csv_cell(value: Any, made: Callable[[str], str]) -> Any:
    if isinstance(value, (list, tuple, dict)):
        return json_line(value)
    return made(value) if isinstance(value, str) else value


def _write_parquet(result: "QueryResult", file: Path) -> None:
    reader = result.arrow()
    with pq.ParquetWriter(str(file), reader.schema, compression="zstd") as writer:
        for batch in reader:
            writer.write_batch(batch)


@contextmanager
def whole(output: Path) -> Iterator[Path]:
    """A name to write under, which takes the place of the output once it is whole.

    Raises:
        UsageError: If no file can be made there.
        KasasagiError: If the file can be made and not be filled, e.g. on a full disk.
    """
    new = output.with_name(f".{output.name}.{os.getpid()}.new")
    try:
        new.touch()
    except OSError as error:
        raise UsageError(_unwritable(output, error)) from error
    try:
        yield new
        new.replace(output)
    except OSError as error:
        raise KasasagiError(_unwritable(output, error)) from error
    finally:
        new.unlink(missing_ok=True)


def _unwritable(output: Path, error: OSError) -> str:
    return f"{output} cannot be written ({error.strerror or error}): name another file with -o"


def _plain(value: Any) -> Any:
    """Return what JSON has no word for: decimals as numbers, anything else as text."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).hex()
    return str(value)
