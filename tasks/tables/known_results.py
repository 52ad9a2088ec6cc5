"""Results that were worked out from a run's rows before, kept in the workspace by the content of those rows."""

import os
import re
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

from kasasagi.blocks.workspace.runs import RunHandle
from kasasagi.tasks.tables import TABLES
from kasasagi.tasks.tables.run_tables import stage_making

OF_ONE_RUN = frozenset(("calls", "stages"))
"""What these hold is not in the shards alone: whether a call was reused, and what it cost in this run."""


class KnownResults:
    """Results in JSON files of one folder; a file that cannot be read or written counts as none."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, key: str) -> Any:
        """Return the result that is kept under a key, or None."""
        try:
            return orjson.loads((self._folder / f"{key}.json").read_bytes())
        except (OSError, ValueError):
            return None

    def keep(self, key: str, result: Any) -> None:
        """Keep a result, unless JSON cannot express it."""
        new = self._folder / f"{key}.{os.getpid()}.new"
        with suppress(OSError, orjson.JSONEncodeError):
            content = orjson.dumps(result)
            self._folder.mkdir(parents=True, exist_ok=True)
            new.write_bytes(content)
            new.replace(self._folder / f"{key}.json")


def tables_in(query: str) -> set[str]:
    """Return the tables of a run that a query may read."""
    return set(re.findall(r"\w+", query)) & {*TABLES, *OF_ONE_RUN}


def content_of(handles: Sequence[RunHandle], names: Collection[str]) -> list[list[Any]]:
    """Return what decides the rows of some tables of a run, apart from OF_ONE_RUN; plain data for a digest.

    The prompts always belong to it, since the other tables show the columns that are kept of them.
    """
    return [[name, _shards(handles, name)] for name in sorted({*names, "prompts"})]


def _shards(handles: Sequence[RunHandle], name: str) -> list[str]:
    last = stage_making(name, handles) if TABLES[name].replaced else None
    return sorted(
        one.handle.shards[name].digest
        for one in handles
        if name in one.handle.shards and last in (None, one.handle.stage)
    )
