"""Contamination: prompts that share most of their n-grams with an item of an evaluation set are rejected."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from kasasagi.blocks.canonical import digest
from kasasagi.blocks.suggestions import nearest
from kasasagi.tasks.filter.config import ContaminationConfig, EvaluationSet, FilterError
from kasasagi.tasks.filter.duplicates.overlap import Item, Overlap
from kasasagi.tasks.load.config import SourceError
from kasasagi.tasks.load.files.locate import locate, source_digest
from kasasagi.tasks.load.files.readers import open_rows, peek_columns


class Contamination:
    """Asks of prompts whether they repeat an item of the evaluation sets; reads these when it is made.

    Raises FilterError where a set cannot be read or a row of it has no text.
    """

    def __init__(self, config: ContaminationConfig, base: Path) -> None:
        self._share = config.share
        self._items = [item for name, one in config.sets.items() for item in _items(name, one, base)]
        self._overlap = Overlap(self._items, config.words, config.characters)

    def found(self, batch: pa.RecordBatch) -> list[str | None]:
        """For each prompt of a batch which set and row it repeats, None where it repeats none."""
        conversations = batch.column("messages").to_pylist()
        texts = ["\n".join(turn["content"] for turn in turns if turn["role"] == "user") for turns in conversations]
        return [match and self._said(*match) for match in self._overlap.matches(texts, self._share)]

    def _said(self, number: int, size: int, share: float) -> str:
        item = self._items[number]
        return f"shares {share:.0%} of the {size}-grams with row {item.row} of {item.name}"


def check_sets(config: ContaminationConfig, base: Path) -> None:
    """Raise FilterError where a set is not there or lacks a column; a Hub id is not asked."""
    for name, one in config.sets.items():
        try:
            there = peek_columns(one.source(), base)
        except SourceError as error:
            raise _fault(name, str(error)) from error
        missing = next((column for column in one.columns if there is not None and column not in there), None)
        if missing is not None:
            raise _fault(name, f"{one.path} has no column {missing!r}: {nearest(missing, there or ())}")


def sets_digest(config: ContaminationConfig, base: Path) -> str:
    """Return the digest of the configuration and of what the sets hold."""
    return digest([config.model_dump(), [source_digest(one.source(), base) for one in config.sets.values()]])


def _items(name: str, one: EvaluationSet, base: Path) -> Iterator[Item]:
    source = one.source()
    try:
        rows = open_rows(source, locate(source, base)).rows
        for number, row in enumerate(rows, start=1):
            if row.reason is not None:
                raise _fault(name, f"row {number} of {one.path} cannot be read ({row.reason}: {row.detail}): fix it")
            for column in one.columns:
                yield Item(name, number, _text(name, number, column, row.value))
    except SourceError as error:
        raise _fault(name, str(error)) from error


def _text(name: str, number: int, column: str, row: Any) -> str:
    """Return the text of one column of a row; nothing for null, and a list's texts in lines."""
    value = row.get(column) if isinstance(row, dict) else None
    parts: Sequence[Any] = value if isinstance(value, list) else [] if value is None else [value]
    if not isinstance(row, dict) or column not in row or not all(isinstance(part, str) for part in parts):
        raise _fault(name, f"row {number} has no text in the column {column!r}: name a column of texts")
    return "\n".join(parts)


def _fault(name: str, why: str) -> FilterError:
    return FilterError(f"contamination.sets.{name}: {why}")
