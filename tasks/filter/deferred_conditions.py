"""Predicates that ask for columns which later stages add, told from those that the filter itself can ask."""

from collections.abc import Collection, Mapping, Sequence

from kasasagi.tasks.filter.sql import SqlSandbox


def split_where(where: Mapping[str, str], later: Sequence[Collection[str]]) -> list[dict[str, str]]:
    """Return the predicates by when they can be asked: at once, then after each later group of columns that
    they use.
    """
    parts: list[dict[str, str]] = [{} for _ in range(len(later) + 1)]
    if not any(later):
        return [dict(where), *parts[1:]]
    with SqlSandbox() as room:
        for reason, predicate in where.items():
            used = [number for number, columns in enumerate(later, start=1) if room.mentions(predicate, columns)]
            parts[max(used, default=0)][reason] = predicate
    return parts
