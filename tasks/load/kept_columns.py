"""Kept columns: staged as JSON text, since a column's type is known only at its end, then given the type that fits."""

import math
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from kasasagi.tasks.load.json_text import json_text

_INT64 = 1 << 63
_TYPES = {
    frozenset[str](): pa.string(),
    frozenset({"bool"}): pa.bool_(),
    frozenset({"int"}): pa.int64(),
    frozenset({"double"}): pa.float64(),
    frozenset({"int", "double"}): pa.float64(),
    frozenset({"string"}): pa.string(),
}


class KeptColumn:
    """One kept column: its texts for staging, and the kinds of value seen so far."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.present = False
        self._kinds: set[str] = set()

    def stage(self, row: dict[str, Any]) -> str | None:
        """Return the JSON text of the row's value, None for null or none; the kind of the value is remembered."""
        if self.name not in row:
            return None
        self.present = True
        value = row[self.name]
        if value is None:
            return None
        kind = _kind(value)
        self._kinds.add(kind)
        return repr(value) if kind == "double" and not math.isfinite(value) else json_text(value)[0]

    def field(self) -> pa.Field:
        """Return the column as published: bool, int64, double or string, and JSON text where it is nested or mixed."""
        return pa.field(self.name, _TYPES.get(frozenset(self._kinds), pa.string()))

    def publish(self, staged: pa.Array) -> pa.Array:
        """Staged texts as values of the field's type."""
        if self._kinds == {"string"}:
            return pa.array([None if text is None else orjson.loads(text) for text in staged.to_pylist()], pa.string())
        if "double" in self._kinds and not self._kinds <= {"int", "double"}:
            return pc.if_else(pc.is_in(staged, pa.array(["nan", "inf", "-inf"])), pa.scalar(None, pa.string()), staged)
        return staged.cast(self.field().type)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int" if -_INT64 <= value < _INT64 else "json"
    if isinstance(value, float):
        return "double"
    return "json" if isinstance(value, list | dict | tuple) else "string"
