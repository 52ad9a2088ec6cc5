"""One format of a dataset on its way to the files: rows that cannot stand in it are left out, the others converted."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc

from kasasagi.blocks.canonical import digest
from kasasagi.tasks.publish.config import PublishError, SplitConfig
from kasasagi.tasks.publish.families import Families
from kasasagi.tasks.publish.files import TEST, TRAIN, DataFiles, data_files, write_splits
from kasasagi.tasks.publish.formats.base import ANSWERS, Format

SHARE_DIGITS = 13


def splits_of(config: SplitConfig | None) -> tuple[str, ...]:
    """Return the names of the splits."""
    return (TRAIN,) if config is None else (TRAIN, TEST)


def split_rows(rows: pa.Table, families: Families, config: SplitConfig | None) -> dict[str, pa.Table]:
    """Return the rows of each split, by the digest of their family alone: further rows move none to the other side.

    A larger share for the test split only adds prompts to it.
    """
    if config is None:
        return {TRAIN: rows}
    shares = [_share(family, config.seed) for family in families.of(rows)]
    testing = pa.array([share < config.test for share in shares], pa.bool_())
    return {TRAIN: rows.filter(pc.invert(testing)), TEST: rows.filter(testing)}


def _share(family: str, seed: int) -> float:
    """Return a number from 0 to 1 that family and seed alone decide; most prompts are a family by themselves."""
    digits = digest({"prompt_id": family, "seed": seed})[:SHARE_DIGITS]
    return int(digits, 16) / float(16**SHARE_DIGITS)


class FormatWriter:
    """Writes the files of one format, split by split; `counts` has its rows by split, `left_out` others by reason."""

    def __init__(self, form: Format, folder: Path, splits: Sequence[str]) -> None:
        self.form = form
        self.counts: Counter[str] = Counter()
        self.left_out: Counter[str] = Counter()
        self._folder, self._splits = folder, tuple(splits)
        self._files: dict[str, DataFiles] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def write(self, parts: Mapping[str, pa.Table]) -> None:
        """Add some rows, as `split_rows` gives them."""
        for split in self._splits:
            accepted = self._accept(self._visible_columns(parts[split]))
            if not accepted.num_rows:
                continue
            rows = self.form.convert(accepted)
            if split not in self._files:
                files = DataFiles(self._folder, rows.schema, split, self._splits)
                self._files[split] = self._stack.enter_context(files)
            self._files[split].write(rows)
            self.counts[split] += rows.num_rows

    def finish(self) -> None:
        """Close the files and write what goes with them.

        Raises:
            PublishError: If no row fits the format or a split has none, since then nobody could load it.
        """
        if not self.counts.total():
            raise PublishError(
                f"no row fits the format {self.form.name} ({shown(self.left_out)}), so nothing is published: "
                f"leave {self.form.name} out of publish.formats"
            )
        empty = [split for split in self._splits if not self.counts[split]]
        if empty:
            raise PublishError(
                f"of {self.counts.total():,} rows in the format {self.form.name} none belongs to the split {empty[0]}, "
                "so nothing is published: choose another share as publish.split.test, or leave publish.split out"
            )
        for files in self._files.values():
            files.finish()
        write_splits(self._folder, self._splits)
        for name, content in self.form.files(self._splits).items():
            (self._folder / name).write_bytes(content)

    def names(self) -> tuple[list[str], list[str]]:
        """Return the names of the data files and of the files beside them, relative to the format's folder."""
        return data_files(self._splits), list(self.form.files(self._splits))

    def _visible_columns(self, rows: pa.Table) -> pa.Table:
        """Return the rows without the responses of their prompts, where the format does not show them."""
        there = ANSWERS in rows.column_names
        return rows.drop_columns([ANSWERS]) if there and not self.form.answers else rows

    def _accept(self, rows: pa.Table) -> pa.Table:
        if self.form.refuses is None:
            return rows
        reasons = [self.form.refuses(row) for row in _texts(rows)]
        self.left_out.update(reason for reason in reasons if reason is not None)
        return rows.filter(pa.array([reason is None for reason in reasons], pa.bool_()))


def _texts(rows: pa.Table) -> list[dict[str, Any]]:
    """Return what refusals look at: the texts alone."""
    return list(rows.select(["prompt", "chosen", "rejected"]).to_pylist())


def shown(left_out: Mapping[str, int]) -> str:
    """Reasons and how often each, for people; the commonest first."""
    ordered = sorted(left_out.items(), key=lambda entry: (-entry[1], entry[0]))
    return ", ".join(f"{reason}: {count:,}" for reason, count in ordered)
