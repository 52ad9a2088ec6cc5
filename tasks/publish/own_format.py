"""A format of a user's own: a function that makes a row of a pair."""

from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa

from kasasagi.tasks.publish.config import PublishError
from kasasagi.tasks.publish.formats.base import Format, Row

LOADING = """\
from datasets import load_from_disk

dataset = load_from_disk("{folder}/dataset"){splits}"""
Make = Callable[[Row], Mapping[str, Any]]


def own_format(name: str, make: Make) -> Format:
    """Return a user's function of a pair as a format.

    Args:
        name: Its name.
        make: Returns one row of the dataset for a pair with its messages and all that is known of it.
    """
    return Format(
        name=name,
        consumer=f"what {name} is made for",
        loading=LOADING,
        convert=_Rows(name, make),
        columns={},
        verbatim=False,
    )


class _Rows:
    """Makes tables of one schema, that of the first one, as all tables of a dataset must have."""

    def __init__(self, name: str, make: Make) -> None:
        self._name, self._make = name, make
        self._schema: pa.Schema | None = None

    def __call__(self, rows: pa.Table) -> pa.Table:
        """Make a row of each pair.

        Raises:
            PublishError: If a row is none, or unlike those before it.
        """
        try:
            table = self._table([dict(self._make(row)) for row in rows.to_pylist()])
        except Exception as error:
            raise PublishError(
                f"publish.formats: {self._name} makes no row of a pair ({type(error).__name__}: {error}), so nothing "
                "is published; fix its function: for every pair it returns the same columns, each of one type"
            ) from error
        self._schema = table.schema
        return table

    def _table(self, made: list[dict[str, Any]]) -> pa.Table:
        table = pa.Table.from_pylist(made, schema=self._schema)
        if strange := {key for row in made for key in row} - set(table.column_names):
            raise KeyError(f"the first pair has no column {min(strange)!r}")
        return table
