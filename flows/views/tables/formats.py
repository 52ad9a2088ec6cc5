"""The forms in which rows can be asked for."""

from enum import StrEnum
from pathlib import Path

from kasasagi.flows.errors import UsageError


class RowFormat(StrEnum):
    """How rows are written."""

    table = "table"
    jsonl = "jsonl"
    csv = "csv"
    parquet = "parquet"


def check_output(form: RowFormat, output: Path | None) -> None:
    """Refuse a format without the file that it needs, and a file without a format. Raises UsageError."""
    if form is RowFormat.parquet and output is None:
        raise UsageError("--format parquet writes a file: name it with -o FILE")
    if form is RowFormat.table and output is not None:
        raise UsageError(f"a table is only for the terminal: to write {output}, add --format jsonl, csv or parquet")
