"""Rows that share buckets, and the order in which they can be compared so that each meets survivors alone.

A row is ready when it comes first, among the rows not settled yet, in each of its buckets: all that could be its
survivor has then been compared with it. The work is that of the pairs to compare, not of the rounds.
"""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np

_PAIRS_AT_ONCE = 1 << 22
_HALF = np.uint64(32)


def shared(keys: Iterable[Any]) -> tuple[Any, Any]:
    """Return the rows that share a bucket with others, and the buckets' numbers; by bucket, then by row.

    keys has an array for each band: the band's key of each row.
    """
    rows, buckets, count = [np.empty(0, np.int32)], [np.empty(0, np.int32)], 0
    for key in keys:
        members, common = without_singletons(*_sorted_with_rows(key))
        if len(common):
            rows.append(members)
            buckets.append(np.cumsum(np.append(False, common[1:] != common[:-1]), dtype=np.int32) + np.int32(count))
            count = int(buckets[-1][-1]) + 1
    return np.concatenate(rows), np.concatenate(buckets)


def _sorted_with_rows(key: Any) -> tuple[Any, Any]:
    """Return the rows by their keys (uint32), and the keys; sorted as one number each, which is faster than argsort."""
    both = key.astype(np.uint64) << _HALF
    both |= np.arange(len(key), dtype=np.uint64)
    both.sort()
    return both.astype(np.uint32).astype(np.int32), (both >> _HALF).astype(np.uint32)


def without_singletons(rows: Any, buckets: Any) -> tuple[Any, Any]:
    """Rows and buckets without the buckets that hold one row alone."""
    same = buckets[1:] == buckets[:-1]
    stays = np.zeros(len(rows), bool)
    stays[1:] |= same
    stays[:-1] |= same
    return rows[stays], buckets[stays]


class CandidatePairs:
    """Pairs of rows that share buckets, in the order of readiness; settled holds for each row whether it is decided."""

    def __init__(self, rows: Any, buckets: Any, settled: Any) -> None:
        begins = np.append(True, buckets[1:] != buckets[:-1])
        self._rows = rows
        self._settled = settled
        self._heads = np.flatnonzero(begins)
        self._ends = np.append(self._heads[1:], len(rows))
        by_row = np.argsort(rows, kind="stable")
        self._bucket = (np.cumsum(begins, dtype=np.int32) - np.int32(1))[by_row]
        self._first = np.searchsorted(rows[by_row], np.arange(len(settled) + 1))
        heads = np.bincount(rows[self._heads], minlength=len(settled))
        self._waiting = np.diff(self._first) - heads
        self._most = np.count_nonzero(settled) + np.count_nonzero(np.diff(self._first)) // 2
        self.ready = np.flatnonzero((heads > 0) & (self._waiting == 0))

    def has_ready(self) -> bool:
        """Return whether rows are ready, and not so many settled that the buckets are better rebuilt without them."""
        return len(self.ready) > 0 and bool(np.count_nonzero(self._settled) <= self._most)

    def pairs(self) -> Any:
        """Return each ready row with the unsettled rows behind it in its buckets, once, by ready row; of shape (pairs,
        2).
        """
        owners = np.repeat(self.ready, np.diff(self._first)[self.ready])
        buckets = self._buckets(self.ready)
        begins = self._heads[buckets] + 1
        lengths = self._ends[buckets] - begins
        pieces = np.cumsum(lengths) // _PAIRS_AT_ONCE
        joined = np.empty(0, np.int64)
        for low, high in pairwise([0, *(np.flatnonzero(np.diff(pieces)) + 1), len(pieces)]):
            others = self._rows[_ranges(begins[low:high], lengths[low:high])]
            open_ = ~self._settled[others]
            found = np.repeat(owners[low:high], lengths[low:high])[open_] << 32 | others[open_]
            joined = sorted_unique(np.concatenate([joined, found]))
        return np.stack([joined >> 32, joined & 0xFFFFFFFF], axis=1)

    def advance(self, settled: Any) -> None:
        """Take rows as settled, and see which others are ready now."""
        self._settled[settled] = True
        moving = sorted_unique(self._buckets(settled))
        moving = moving[self._is_past(moving)]
        arrived = [moving[:0]]
        while len(moving):
            self._heads[moving] += 1
            moving = moving[self._heads[moving] < self._ends[moving]]
            past = self._is_past(moving)
            arrived.append(moving[~past])
            moving = moving[past]
        heads, times = np.unique(self._rows[self._heads[np.concatenate(arrived)]], return_counts=True)
        self._waiting[heads] -= times
        self.ready = heads[self._waiting[heads] == 0].astype(np.int64)

    def _is_past(self, buckets: Any) -> Any:
        """Return whether the first row of each bucket is settled; finished buckets are not asked."""
        heads = self._heads[buckets]
        inside = heads < self._ends[buckets]
        inside[inside] = self._settled[self._rows[heads[inside]]]
        return inside

    def _buckets(self, rows: Any) -> Any:
        """Return the buckets of some rows, those of each row together."""
        begins = self._first[rows]
        return self._bucket[_ranges(begins, self._first[rows + 1] - begins)]


def sorted_unique(numbers: Any) -> Any:
    """Return numbers in order, each once; np.unique would hash them, which takes longer."""
    ordered = np.sort(numbers)
    return ordered[np.append(True, ordered[1:] != ordered[:-1])] if len(ordered) else ordered


def _ranges(begins: Any, lengths: Any) -> Any:
    """Return the numbers of some ranges, one range after the other."""
    shifts = begins - (np.cumsum(lengths) - lengths)
    return np.repeat(shifts, lengths) + np.arange(lengths.sum())
