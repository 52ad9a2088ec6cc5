"""Where sampled text stops: further stops, and none at line breaks."""

from collections.abc import Mapping
from typing import Any


def with_stops(body: Mapping[str, Any], stops: Mapping[str, Any]) -> dict[str, Any]:
    """Sampling fields with further stops behind their own."""
    merged = {name: [*(body.get(name) or ()), *more] for name, more in stops.items()}
    return {**body, **{name: list(dict.fromkeys(every)) for name, every in merged.items()}}


def without_line_stops(body: Mapping[str, Any]) -> dict[str, Any]:
    """Sampling fields of instructions that may have several lines: without stops at line breaks."""
    if not body.get("stop"):
        return dict(body)
    stops = [stop for stop in body["stop"] if stop.strip()]
    return {**body, "stop": stops} if stops else {name: value for name, value in body.items() if name != "stop"}
