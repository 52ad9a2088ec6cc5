"""The shortcut audit of a run's pairs, kept in the workspace for later runs with the same ones."""

from typing import Any

from duckdb import DuckDBPyConnection
from pydantic import TypeAdapter, ValidationError

from kasasagi.blocks.canonical import digest
from kasasagi.blocks.workspace.runs import Run
from kasasagi.tasks.reports.code import code_digest
from kasasagi.tasks.reports.shortcut import ShortcutAudit, audit_shortcuts, pair_digest, pairs_in
from kasasagi.tasks.tables.known_results import KnownResults


def shortcuts_of(run: Run, tables: DuckDBPyConnection) -> ShortcutAudit | None:
    """Return the audit of a run's pairs; None if there are none.

    Args:
        run: The run.
        tables: Its tables.
    """
    pairs, count = pairs_in(tables)
    if not pairs:
        return None
    known = KnownResults(run.workspace.report_results_folder)
    key = digest(["shortcuts", code_digest(), count, sorted(pair_digest(pair) for pair in pairs)])
    found = _read(known.find(key))
    if found is None:
        found = audit_shortcuts(pairs, count)
        known.keep(key, TypeAdapter(ShortcutAudit).dump_python(found, mode="json"))
    return found


def _read(kept: Any) -> ShortcutAudit | None:
    try:
        return TypeAdapter(ShortcutAudit).validate_python(kept)
    except ValidationError:
        return None
