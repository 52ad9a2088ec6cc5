"""N-grams that texts share with the items of evaluation sets: an index in numpy, asked about a batch of texts at once.

A text is cut into units: words, and each sign of Japanese or Chinese on its own, by Unicode NFKC, in small letters and
without punctuation. An item of mainly such signs is compared by longer n-grams than one of words.
"""

import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from kasasagi.tasks.filter.duplicates.keys import fold
from kasasagi.tasks.filter.duplicates.minhash import ODD, mixed

MOST_ITEMS = 64
"""An n-gram that more items than these have is a set's template, and says nothing."""
_SIGN = "぀-ヿ㐀-䶿一-鿿豈-﫿々"
_UNIT = re.compile(rf"[{_SIGN}]|[^\W_{_SIGN}]+")
_IS_SIGN = re.compile(rf"[{_SIGN}]")


class Item(NamedTuple):
    """One text of an evaluation set: the set's name, the row's number (from 1) and the text."""

    name: str
    row: int
    text: str


class Match(NamedTuple):
    """The item that a text shares most n-grams with, by its number, the n, and the share of the shorter one's."""

    item: int
    size: int
    share: float


def units(text: str) -> list[str]:
    """Return the words and signs of a text."""
    return _UNIT.findall(fold(text).casefold())


class Overlap:
    """The n-grams of all items, to be looked up. words and characters are the n of items of words and of signs.

    An item that is shorter than its n is looked for as a whole, and one shorter than half of it only in texts that
    say nothing else. Memory: some 16 bytes an n-gram.
    """

    def __init__(self, items: Sequence[Item], words: int, characters: int) -> None:
        cut = [units(item.text) for item in items]
        sizes = [_size(one, words, characters) for one in cut]
        self._whole: dict[tuple[str, ...], int] = {}
        groups: dict[int, list[int]] = {}
        for number, (one, size) in enumerate(zip(cut, sizes, strict=True)):
            if one and tuple(one) not in self._whole:
                self._whole[tuple(one)] = number
                if 2 * len(one) >= size:
                    groups.setdefault(min(size, len(one)), []).append(number)
        self._grams = {size: _Grams([cut[n] for n in group], group, size) for size, group in sorted(groups.items())}

    def matches(self, texts: Sequence[str], least: float) -> list[Match | None]:
        """For each text the item that it shares most with, None where that is less than the least share."""
        cut = [units(text) for text in texts]
        best: list[Match | None] = [self._same(one) for one in cut]
        codes, rows = _codes(cut)
        for grams in self._grams.values():
            for row, match in grams.shared(codes, rows, len(texts)):
                known = best[row]
                if match.share >= least and (known is None or match.share > known.share):
                    best[row] = match
        return best

    def _same(self, one: Sequence[str]) -> Match | None:
        item = self._whole.get(tuple(one)) if one else None
        return None if item is None else Match(item, len(one), 1.0)


class _Grams:
    """The n-grams of one length of some items, sorted: their hashes, and the item of each."""

    def __init__(self, cut: Sequence[Sequence[str]], numbers: Sequence[int], size: int) -> None:
        self._size = size
        hashes, owners = _distinct(*_windows(*_codes(cut), size))
        order = np.lexsort((owners, hashes))
        hashes, owners = hashes[order], np.asarray(numbers, np.int64)[owners[order]]
        _, begins, counts = np.unique(hashes, return_index=True, return_counts=True)
        telling = np.repeat(counts <= MOST_ITEMS, counts)
        self._hashes, self._items = hashes[telling], owners[telling]
        self._common = hashes[begins[counts > MOST_ITEMS]]
        self._sizes = np.bincount(self._items, minlength=max(numbers) + 1)

    def shared(self, codes: Any, rows: Any, count: int) -> list[tuple[int, Match]]:
        """Return the best item of each of count texts that shares something, by the codes of all their
        units in a row.
        """
        hashes, owners = _distinct(*_windows(codes, rows, self._size))
        known = ~np.isin(hashes, self._common)
        hashes, owners = hashes[known], owners[known]
        lengths = np.bincount(owners, minlength=count)
        low = np.searchsorted(self._hashes, hashes)
        found = np.searchsorted(self._hashes, hashes, side="right") - low
        texts = np.repeat(owners, found)
        places = np.repeat(low - (np.cumsum(found) - found), found) + np.arange(found.sum())
        pairs, times = np.unique(texts << 32 | self._items[places], return_counts=True)
        texts, items = pairs >> 32, pairs & 0xFFFFFFFF
        shares = times / np.minimum(self._sizes[items], lengths[texts])
        best = np.lexsort((items, -shares, texts))
        first = best[np.unique(texts[best], return_index=True)[1]]
        return [(int(texts[at]), Match(int(items[at]), self._size, float(shares[at]))) for at in first]


def _size(cut: Sequence[str], words: int, characters: int) -> int:
    """Return the n of a text: that of signs where they are most of its units."""
    return characters if 2 * sum(1 for unit in cut if _IS_SIGN.match(unit)) > len(cut) else words


def _codes(cut: Sequence[Sequence[str]]) -> tuple[Any, Any]:
    """Return a number for each unit of all texts in a row, and the text that each belongs to."""
    codes = np.fromiter((_code(unit) for one in cut for unit in one), np.uint64)
    return codes, np.repeat(np.arange(len(cut)), [len(one) for one in cut])


@lru_cache(1 << 17)
def _code(unit: str) -> int:
    return int.from_bytes(hashlib.blake2b(unit.encode(), digest_size=8).digest(), "big")


def _windows(codes: Any, rows: Any, size: int) -> tuple[Any, Any]:
    """Return the hash of each n-gram that lies within one text, and the text."""
    count = max(0, len(codes) - size + 1)
    rolled = np.zeros(count, np.uint64)
    for place in range(size):
        rolled = mixed(rolled * ODD + codes[place : count + place])
    inside = rows[:count] == rows[size - 1 : size - 1 + count]
    return rolled[inside], rows[:count][inside]


def _distinct(hashes: Any, owners: Any) -> tuple[Any, Any]:
    """Return the same n-grams, each once in a text."""
    order = np.lexsort((hashes, owners))
    hashes, owners = hashes[order], owners[order]
    first = np.append(True, (hashes[1:] != hashes[:-1]) | (owners[1:] != owners[:-1]))[: len(hashes)]
    return hashes[first], owners[first]
