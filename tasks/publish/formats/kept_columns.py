"""The columns that a recipe keeps, carried into a format that makes its own rows."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import pyarrow as pa

TAKEN_PREFIX = "source_"


def kept_names(columns: Iterable[str], known: Collection[str], own: Collection[str]) -> dict[str, str]:
    """Return the columns that the recipe keeps, with their names in a format.

    A name that is taken gets the prefix `source_`.

    Args:
        columns: All columns of the rows.
        known: The columns that every row has, independent of the recipe.
        own: The columns of the format.
    """
    taken, names = {name.casefold() for name in own}, {}
    for column in columns:
        if column not in known:
            name = column
            while name.casefold() in taken:
                name = f"{TAKEN_PREFIX}{name}"
            taken.add(name.casefold())
            names[column] = name
    return names


def with_kept(made: pa.Table, rows: pa.Table, names: dict[str, str], places: Sequence[int] | None = None) -> pa.Table:
    """Return the rows of a format with the kept columns added.

    Args:
        made: The rows of the format.
        rows: The rows from which they were made.
        names: The kept columns and their names in the format.
        places: The index of the source row for each row of the format; default: one to one.
    """
    picked: Any = rows if places is None else rows.take(pa.array(places, pa.int64()))
    for column, name in names.items():
        made = made.append_column(pa.field(name, rows.schema.field(column).type), picked[column])
    return made
