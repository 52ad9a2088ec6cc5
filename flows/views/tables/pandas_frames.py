"""A run's tables as pandas data frames, for notebooks."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from kasasagi.blocks.workspace.runs import Run
from kasasagi.flows.views.table_reader import reading
from kasasagi.tasks.tables import PUBLIC

if TYPE_CHECKING:
    import pandas as pd


def tables(run: Run) -> "Mapping[str, pd.DataFrame]":
    """Return a run's tables by name (`tables(run)["pairs"]`), each read when it is asked for; also while the run is
    active.
    """
    return _Tables(run)


class _Tables(Mapping[str, "pd.DataFrame"]):
    def __init__(self, run: Run) -> None:
        self._run = run
        self._names = (*PUBLIC, "stages")

    def __getitem__(self, name: str) -> "pd.DataFrame":
        if name not in self._names:
            raise KeyError(f"a run has no table {name!r}; its tables are {', '.join(self._names)}")
        with reading(self._run) as connection:
            frame: pd.DataFrame = connection.table(name).df()
            return frame

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"<tables of run {self._run.id}: {', '.join(self._names)}>"
