"""Files as streams of bytes: decompressed, transcoded to UTF-8 where needed, and cut into lines."""

import bz2
import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Protocol, cast

from kasasagi.tasks.load.config import SourceError
from kasasagi.tasks.load.files.locate import DataLocation
from kasasagi.tasks.load.files.opened import RawRow

MAX_LINE_BYTES = 64 << 20
SHOWN_BYTES = 64 << 10
PEEK_BYTES = 1 << 20
DAMAGE = (EOFError, OSError, zlib.error, UnicodeError)


_KINDS = {
    b"\x1f\x8b": "is compressed by gzip: rename it to end in .gz",
    b"\x28\xb5\x2f\xfd": "is compressed by zstd: rename it to end in .zst",
    b"BZh9": "is compressed by bzip2: rename it to end in .bz2",
    b"PAR1": "is a Parquet file: set format: parquet",
    b"PK\x03\x04": "is a zip archive or an Excel file: unpack it, or save it as csv in UTF-8",
}
"""What the first bytes of a file that is no text show, and the remedy."""


class ByteLines(Protocol):
    """What gives its bytes line by line."""

    def readline(self, size: int, /) -> bytes:
        """Return the next line, or the first bytes of it; b"" at the end."""
        ...


class Transcoded:
    """The lines of a file in another encoding, as UTF-8; bytes that are invalid in it stay invalid."""

    def __init__(self, file: IO[bytes], encoding: str) -> None:
        self._text = io.TextIOWrapper(file, encoding=encoding, errors="surrogateescape", newline="\n")

    def readline(self, size: int = -1, /) -> bytes:
        """Return the next line, or the first characters of it; b"" at the end."""
        return self._text.readline(size).encode("utf-8", "surrogateescape")

    def read(self) -> bytes:
        """Return the rest of the file."""
        return self._text.read().encode("utf-8", "surrogateescape")


def open_bytes(place: DataLocation) -> IO[bytes]:
    """Open a file for reading, decompressed as its ending says."""
    if place.compression == "gzip":
        return cast("IO[bytes]", gzip.open(place.file, "rb"))
    if place.compression == "bz2":
        return cast("IO[bytes]", bz2.open(place.file, "rb"))
    if place.compression == "zstd":
        import pyarrow as pa

        return io.BufferedReader(pa.input_stream(str(place.file), compression="zstd"))
    return place.file.open("rb")


@contextmanager
def open_utf8(place: DataLocation, encoding: str | None) -> Iterator["IO[bytes] | Transcoded"]:
    """Open a text file, transcoded to UTF-8 where it is in another encoding. Damage is raised as a SourceError."""
    try:
        with open_bytes(place) as file:
            yield Transcoded(file, encoding) if encoding else file
    except DAMAGE as error:
        raise damage(place, error) from error


def head_of(place: DataLocation) -> bytes:
    """Return the first megabyte of a file.

    Raises:
        SourceError: If it is damaged.
    """
    try:
        with open_bytes(place) as file:
            return file.read(PEEK_BYTES)
    except DAMAGE as error:
        raise damage(place, error) from error


def check_kind(head: bytes, place: DataLocation) -> None:
    """Refuse a file whose first bytes show that it is no text file. Raises SourceError."""
    for mark, sentence in _KINDS.items():
        if head.startswith(mark):
            raise SourceError(f"{place.file} {sentence}")


def report_damage(place: DataLocation, rows: Iterator[RawRow]) -> Iterator[RawRow]:
    """Yield the same rows, with damage to the file itself raised as a SourceError."""
    try:
        yield from rows
    except DAMAGE as error:
        raise damage(place, error) from error


def damage(place: DataLocation, error: Exception) -> SourceError:
    """Return the error that says why a file cannot be read to its end."""
    if isinstance(error, UnicodeError):
        return SourceError(f"{place.file} cannot be decoded to its end ({error}): correct source.encoding")
    return SourceError(f"{place.file} cannot be read to its end ({error}): fetch it again")


def lines_of(file: ByteLines) -> Iterator[tuple[bytes, bool]]:
    """Yield the lines of a file without their ends, and whether each was too long and is cut; a BOM is dropped."""
    first = True
    while line := file.readline(MAX_LINE_BYTES + 1):
        cut = len(line) > MAX_LINE_BYTES
        rest = line
        while cut and rest and not rest.endswith(b"\n"):
            rest = file.readline(MAX_LINE_BYTES)
        if first:
            line, first = line.removeprefix(codecs.BOM_UTF8), False
        yield (line[:SHOWN_BYTES] if cut else line.rstrip(b"\r\n")), cut
