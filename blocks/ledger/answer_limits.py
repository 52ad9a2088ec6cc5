"""The limits that requests set on the length of answers: which of them a ledger has entries of.

A key holds the whole request, its limit included. With the limits that were in use, the key of the same request with
another limit can be computed, so that an answer which ended by itself is found whatever the limit is now.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import product
from typing import Any

import orjson

from kasasagi.blocks.canonical import canonical
from kasasagi.blocks.ledger.store import UNREADABLE, Ledger
from kasasagi.blocks.models.llm import Request
from kasasagi.blocks.workspace.runs import Run, Workspace, WorkspaceError

FIELDS = ("max_tokens", "max_completion_tokens")
ANY_MODEL = ""
"""Limits of a ledger whose version recorded none are those of its runs' recipes, for all models alike."""
EARLIER_DEFAULTS = (256, 1024)
"""The limits that stages set by themselves in the versions that recorded none."""
Limit = Mapping[str, Any]
"""Those fields of a request that limit its answer; none where it sets no limit."""


def limit_of(request: Request) -> Limit:
    """Return the fields of a request that limit its answer."""
    return {name: request[name] for name in FIELDS if name in request}


def with_limit(request: Request, limit: Limit) -> Request:
    """Return a request with another limit."""
    return {**{name: value for name, value in request.items() if name not in FIELDS}, **limit}


def most_tokens(limit: Limit) -> float:
    """Return the most tokens that a limit allows."""
    return min((value for value in limit.values() if isinstance(value, int)), default=float("inf"))


def known_limits(ledger: Ledger, model: str) -> list[Limit]:
    """Return the limits that requests to a model had, the highest first. Raises LedgerError."""
    read = [_read(text) for text in ledger.limits([ANY_MODEL, model])]
    found = [limit for limit in read if limit is not None]
    return sorted(found, key=lambda limit: (-most_tokens(limit), canonical(limit)))


def note_limits(ledger: Ledger, workspace: Workspace, asked: Iterable[tuple[str, Limit]]) -> None:
    """Record the limits of requests, each with the identity of its model, behind those of earlier versions' runs.

    Raises LedgerError.
    """
    if not ledger.has_limits():
        note_earlier_limits(ledger, [workspace])
    limits = {(model, canonical(limit).decode()) for model, limit in asked}
    known = {model: ledger.limits([ANY_MODEL, model]) for model, _ in limits}
    if new := [(model, limit) for model, limit in sorted(limits) if limit not in known[model]]:
        ledger.add_limits(new)


def note_earlier_limits(ledger: Ledger, workspaces: Sequence[Workspace]) -> None:
    """Record every limit that runs of some workspaces may have set, by their recipes. Raises LedgerError."""
    ledger.add_limits(
        [(ANY_MODEL, canonical(limit).decode()) for workspace in workspaces for limit in _limits_of_runs(workspace)]
    )


def import_limits(ledger: Ledger, workspace: Workspace, other: sqlite3.Connection, other_workspace: Workspace) -> None:
    """Take over the limits of another ledger; runs say them where a ledger has recorded none.

    Raises:
        LedgerError: If this ledger cannot be written.
    """
    found = _recorded(other)
    silent = [] if ledger.has_limits() else [workspace]
    note_earlier_limits(ledger, silent if found else [*silent, other_workspace])
    ledger.add_limits(found)


def _recorded(other: sqlite3.Connection) -> list[tuple[str, str]]:
    try:
        return [(str(model), str(fields)) for model, fields in other.execute("SELECT model, fields FROM limits")]
    except UNREADABLE:  # an older ledger has no such table, and of a damaged one the entries matter more
        return []


def _read(text: str) -> Limit | None:
    """Return the recorded limit, None for one that is damaged: answers under it are not found."""
    try:
        limit = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return limit if isinstance(limit, dict) else None


def _limits_of_runs(workspace: Workspace) -> Iterator[Limit]:
    found: dict[str, set[int]] = {name: set() for name in FIELDS}
    found["max_tokens"].update(EARLIER_DEFAULTS)
    for state in workspace.runs():
        with suppress(WorkspaceError, OSError):  # a run that cannot be read names no limits
            for name, value in _limits_in(Run(workspace, state.run).recipe()):
                found[name].add(value)
    for values in product(*((None, *sorted(found[name])) for name in FIELDS)):
        yield {name: value for name, value in zip(FIELDS, values, strict=True) if value is not None}


def _limits_in(value: Any) -> Iterator[tuple[str, int]]:
    """Yield all limits in a recipe, wherever they are set."""
    if isinstance(value, Mapping):
        yield from ((name, one) for name, one in value.items() if name in FIELDS and type(one) is int)
    if isinstance(value, Mapping | list):
        for one in value.values() if isinstance(value, Mapping) else value:
            yield from _limits_in(one)
