"""The tables of a run, as the stages declare them, and as DuckDB shows them."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import pyarrow as pa

from kasasagi.blocks.tables import CALLS, GATES, QUARANTINE, Table
from kasasagi.tasks.pipeline import STAGES

_OF_ALL_STAGES = (Table("calls", CALLS), Table("quarantine", QUARANTINE), Table("gates", GATES))

TABLES: Mapping[str, Table] = MappingProxyType(
    {table.name: table for table in (*(one for stage in STAGES for one in stage.tables), *_OF_ALL_STAGES)}
)
"""Each table by its name; a run has all of them, also those that it has no rows of."""
PUBLIC = tuple(name for name, table in TABLES.items() if table.public)
"""The tables that a run's database holds."""


def table(name: str, rows: list[dict[str, Any]], more: Sequence[pa.Field] = ()) -> pa.Table:
    """Return some rows as an Arrow table with the columns of that table and perhaps more; a missing key is NULL."""
    return pa.Table.from_pylist(rows, schema=pa.schema([*TABLES[name].columns, *more]))
