"""Expectations on the figures of audits, which look at all rows of a stage together."""

from collections.abc import Callable
from functools import partial

import duckdb

from kasasagi.blocks.workspace.run_tables import with_more_memory
from kasasagi.tasks.gate.evaluation.observation import ExpectationCounts
from kasasagi.tasks.gate.expectation import Expectation

NOTHING_SEEN = {"element_count": 0, "missing_count": 0, "unexpected_count": 0, "unexpected_percent": 0.0}


def audit_rows(tables: duckdb.DuckDBPyConnection, one: Expectation) -> ExpectationCounts:
    """Return the figure of an expectation's audit and whether it is within the bounds; no rows where it has none."""
    try:
        found = with_more_memory(tables, partial(FIGURES[one.expectation], tables))
    except Exception as error:
        return ExpectationCounts(fault=f"{type(error).__name__}: {error}")
    if found is None:
        return ExpectationCounts(None, True, NOTHING_SEEN)
    least, most = one.arguments.get("min_value", found), one.arguments.get("max_value", found)
    return ExpectationCounts(None, least <= found <= most, {"observed_value": found})


def _shortcut_auc(tables: duckdb.DuckDBPyConnection) -> float | None:
    from kasasagi.tasks.reports.shortcut import shortcuts_in  # it needs numpy

    audit = shortcuts_in(tables)
    return None if audit is None or audit.auc is None else round(audit.auc.value, 3)


FIGURES: dict[str, Callable[[duckdb.DuckDBPyConnection], float | None]] = {
    "ExpectShortcutAucToBeBetween": _shortcut_auc,
}
"""What each expectation looks at; None where there is too little to tell."""
