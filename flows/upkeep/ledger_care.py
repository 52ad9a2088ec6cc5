"""The upkeep of a workspace's ledger from the command line, beside active runs."""

import re
import sqlite3
import time
from collections.abc import Collection
from pathlib import Path

from kasasagi.blocks.ledger import checks as ledger_check
from kasasagi.blocks.ledger import upkeep as ledger_upkeep
from kasasagi.blocks.ledger.answer_limits import import_limits
from kasasagi.blocks.ledger.checks import CheckResult, ImportResult
from kasasagi.blocks.ledger.store import FILE_NAME, Ledger
from kasasagi.blocks.ledger.upkeep import PruneResult, statistics
from kasasagi.blocks.suggestions import remedy
from kasasagi.blocks.workspace.runs import Run, Workspace
from kasasagi.flows.errors import UsageError

LASTING_REASONS = ("context_too_long", "refused_by_server", "rejected_by_server")
"""The usual reasons of failures that a ledger keeps; engines and providers may have further ones."""
_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def age_seconds(text: str) -> float:
    """Return the seconds in an age such as 90d, 12h or 2w. Raises UsageError."""
    found = _AGE.fullmatch(text.strip())
    if found is None:
        raise UsageError(
            f"--older-than {text!r} is not an age: write a number and s, m, h, d or w, such as 90d (90 days)"
        )
    return float(found[1]) * _SECONDS[found[2]]


def reasons_to_retry(names: Collection[str], workspace: Workspace) -> frozenset[str]:
    """Return the reasons of failures that are retried, as --ask-again names them.

    Raises:
        UsageError: For a reason that is neither a usual one nor that of a stored failure.
    """
    unknown = [name for name in names if name not in LASTING_REASONS]
    if unknown:
        stored = {reason for model in statistics(workspace.ledger_folder).models for reason in model.failures}
        known = sorted({*LASTING_REASONS, *stored})
        if (name := next((name for name in unknown if name not in known), None)) is not None:
            raise UsageError(f"--ask-again: {name!r} is not a reason of a stored failure; {remedy(name, known)}")
    return frozenset(names)


def running(workspace: Workspace) -> list[str]:
    """Return the active runs of a workspace."""
    return [state.run for state in workspace.runs() if state.status == "running"]


def models_in_use(workspace: Workspace) -> Collection[str] | None:
    """Return the models that active runs may ask; None where one of them has not recorded them yet."""
    models: set[str] = set()
    for run in running(workspace):
        noted = Run(workspace, run).recorded_models()
        if noted is None:
            return None
        models.update(noted)
    return models


def prune(workspace: Workspace, older_than: str | None, run: str | None, dry_run: bool) -> PruneResult:
    """Remove entries by age, by run (those that no other run used), or both. Raises UsageError, LedgerError."""
    if older_than is None and run is None:
        raise UsageError("no age and no run is given: name an age (--older-than 90d), a run (--run RUN), or both")
    before = None if older_than is None else time.time() - age_seconds(older_than)
    keys = None if run is None else own_keys(workspace, run)
    return ledger_upkeep.prune(workspace.ledger_folder, before, keys, lambda: models_in_use(workspace), dry_run)


def own_keys(workspace: Workspace, name: str) -> list[bytes]:
    """Return the ledger keys of the calls that a run used and no other run of the workspace did.

    Raises WorkspaceError.
    """
    import duckdb

    from kasasagi.blocks.tables import quoted

    run = workspace.run(name)
    others = [Run(workspace, state.run) for state in workspace.runs() if state.run != run.id]
    mine = _call_shards(run)
    theirs = {file for other in others for file in _call_shards(other)}
    if not mine - theirs:
        return []
    both = [f"[{', '.join(quoted(file) for file in sorted(files))}]" for files in (mine, theirs)]
    query = f"SELECT DISTINCT call_id FROM read_parquet({both[0]})"
    if theirs:
        query += f" WHERE call_id NOT IN (SELECT call_id FROM read_parquet({both[1]}))"
    with duckdb.connect(":memory:") as connection:
        return [bytes.fromhex(row[0]) for row in connection.execute(query).fetchall()]


def _call_shards(run: Run) -> set[Path]:
    """Return the files of the calls that a run counts; files that were removed are left out."""
    store = run.workspace.shards
    shards = [counted.handle.shards["calls"] for counted in run.handles() if "calls" in counted.handle.shards]
    return {path for shard in shards if shard.rows and (path := store.path(shard)).exists()}


def compact(workspace: Workspace) -> tuple[int, int]:
    """Give the room of removed entries back; the file's bytes before and after. Raises LedgerError."""
    return ledger_upkeep.compact(workspace.ledger_folder, alone=not running(workspace))


def check(workspace: Workspace, repair: bool) -> CheckResult:
    """Return whether the ledger is what was written. Raises LedgerError."""
    return ledger_check.check(workspace.ledger_folder, repair)


def import_ledger(workspace: Workspace, other: Path) -> ImportResult:
    """Take over what the ledger of another workspace has. Raises UsageError, LedgerError."""
    file = other if other.is_file() else Workspace(other).ledger_folder / FILE_NAME
    if not file.is_file():
        raise UsageError(f"there is no ledger in {other}: name a workspace's folder, or a {FILE_NAME}")
    own = workspace.ledger_folder / FILE_NAME
    if own.exists() and file.samefile(own):
        raise UsageError(f"{other} is this workspace itself; name the other with --workspace or as the argument")
    workspace.prepare()
    with ledger_check.open_to_rescue(file, workspace.ledger_folder) as connection:
        _import_limits(workspace, connection, file)
        return ledger_check.import_ledger(workspace.ledger_folder, connection, file)


def _import_limits(workspace: Workspace, other: sqlite3.Connection, file: Path) -> None:
    """Record with which limits the entries of another ledger were asked for, before they are taken over."""
    ledger = Ledger(workspace.ledger_folder)
    try:
        import_limits(ledger, workspace, other, Workspace(file.resolve().parent.parent))
    finally:
        ledger.close()
