"""A source that is open for reading: its columns, and its rows one by one."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple


class RawRow(NamedTuple):
    """One row as read: its value, or the reason and detail why there is none; raw is its text where it had one."""

    value: Any = None
    raw: bytes | None = None
    reason: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """A source that was opened: its columns (None where a look ahead showed none), its rows, and whether the
    columns are all there are, which rows of JSON objects do not promise."""

    columns: list[str] | None
    rows: Iterator[RawRow]
    fixed: bool = True
