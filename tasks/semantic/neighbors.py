"""Nearest neighbours by brute force, block by block: exact, with memory for the vectors of two blocks at a time.

The work grows with the square of the rows: 2 n² d / 2 operations for n rows of d dimensions.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

BLOCK = 2048
DECIMALS = 5
"""Similarities are rounded to so many: beyond, they depend on the machine's way of adding up."""


@dataclass(frozen=True, slots=True)
class Neighbors:
    """For each row its nearest other row and their similarity, and the earlier survivor that it repeats.

    nearest and survivor are row numbers, -1 where there is none; all arrays have the shape (rows,).
    """

    nearest: Any
    similarity: Any
    survivor: Any
    survivor_similarity: Any


def neighbors(vectors: Any, duplicates: float | None, block: int = BLOCK) -> Neighbors:
    """Return the neighbours of unit vectors (float32, of shape (rows, dimensions); a memory map will do).

    A row repeats the earliest survivor whose similarity to it is `duplicates` or more, and then survives not.
    """
    found = _empty(len(vectors))
    for start in range(0, len(vectors), block):
        later = np.ascontiguousarray(vectors[start : start + block])
        for low in range(0, start, block):
            alike = _alike(np.ascontiguousarray(vectors[low : low + block]), later)
            _note_nearest(found, alike, low, start)
            _note_nearest(found, alike.T, start, low)
            _note_repeats(found, alike, low, start, duplicates)
        own = _alike(later, later)
        np.fill_diagonal(own, -np.inf)
        _note_nearest(found, own, start, start)
        _settle_within(found, own, start, duplicates)
    return found


def _empty(rows: int) -> Neighbors:
    def numbers() -> Any:
        return np.full(rows, -1, np.int64)

    return Neighbors(numbers(), np.full(rows, -np.inf, np.float32), numbers(), np.full(rows, -np.inf, np.float32))


def _alike(one: Any, other: Any) -> Any:
    return np.round(one @ other.T, DECIMALS)


def _note_nearest(found: Neighbors, alike: Any, rows: int, others: int) -> None:
    """Take in the similarities of the rows from one place on to the others; of equals the one that came first stays."""
    best = np.argmax(alike, axis=1)
    values = alike[np.arange(len(best)), best]
    better = np.flatnonzero(values > found.similarity[rows : rows + len(best)])
    found.similarity[rows + better] = values[better]
    found.nearest[rows + better] = best[better] + others


def _note_repeats(found: Neighbors, alike: Any, low: int, start: int, duplicates: float | None) -> None:
    """Settle which of the later rows repeat a survivor among the earlier ones."""
    if duplicates is None:
        return
    survives = found.survivor[low : low + len(alike)] < 0
    hits = (alike >= np.float32(duplicates)) & survives[:, None]
    rows = np.flatnonzero(hits.any(axis=0) & (found.survivor[start : start + alike.shape[1]] < 0))
    first = np.argmax(hits[:, rows], axis=0)
    found.survivor[start + rows] = low + first
    found.survivor_similarity[start + rows] = alike[first, rows]


def _settle_within(found: Neighbors, own: Any, start: int, duplicates: float | None) -> None:
    """The same among the rows of one block, one after the other, since each may decide about the next."""
    if duplicates is None:
        return
    hits = own >= np.float32(duplicates)
    for row in np.flatnonzero(np.triu(hits).any(axis=1)):
        if found.survivor[start + row] >= 0:
            continue
        repeats = row + 1 + np.flatnonzero(hits[row, row + 1 :])
        repeats = repeats[found.survivor[start + repeats] < 0]
        found.survivor[start + repeats] = start + row
        found.survivor_similarity[start + repeats] = own[row, repeats]
