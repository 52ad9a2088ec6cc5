"""Near duplicates: prompts whose texts share most of their character n-grams; the earliest of them survives.

Signatures propose pairs, and each is verified on the texts themselves. A prompt is compared with survivors alone: of
a chain where b is like a, and c like b but not like a, b goes and c stays. A row costs some 500 bytes of memory; the
texts wait in a file.
"""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np

from kasasagi.blocks.canonical import digest
from kasasagi.tasks.filter.duplicates.buckets import CandidatePairs, shared, without_singletons
from kasasagi.tasks.filter.duplicates.keys import fold
from kasasagi.tasks.filter.duplicates.minhash import Banding, band_keys, ngrams, signatures, similarity

_CHARACTERS_AT_ONCE = 1 << 20
_PAIRS_AT_ONCE = 1 << 16
_SKETCH = 128
_DOUBT = 4.0
"""Standard deviations by which a signature may understate a similarity before a pair is not looked at further."""


class Near(NamedTuple):
    """The survivor that a row is like, by its row number, and the Jaccard similarity of the two."""

    survivor: int
    similarity: float


class NearDuplicates:
    """Finds near duplicates among a known number of prompts, whose texts it keeps in a folder. Close it after use."""

    def __init__(self, rows: int, threshold: float, size: int, folder: Path) -> None:
        self._threshold = threshold
        self._size = size
        self._banding = Banding.for_threshold(threshold)
        self._keys = np.empty((self._banding.bands, rows), np.uint32)
        self._sketches = np.empty((rows, min(_SKETCH, self._banding.size)), np.uint8)
        self._contexts = np.empty(rows, np.uint64)
        self._texts = _TextFile(folder / "texts", rows)

    def __enter__(self) -> "NearDuplicates":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._texts.close()

    def add(self, conversations: Sequence[Sequence[Mapping[str, str]]]) -> None:
        """Take in the next prompts, in the order in which they may survive."""
        folded = [fold(turns[-1]["content"]) if turns else "" for turns in conversations]
        contexts = np.fromiter(map(_context, conversations), np.uint64, len(folded))
        for low, high in _slices(folded):
            first = self._texts.rows
            self._texts.append(folded[low:high])
            found = signatures(folded[low:high], contexts[low:high], self._size, self._banding.size)
            self._keys[:, first : self._texts.rows] = band_keys(found, self._banding)
            self._sketches[first : self._texts.rows] = found[: self._sketches.shape[1]].T
            self._contexts[first : self._texts.rows] = contexts[low:high]

    def find(self) -> dict[int, Near]:
        """Return each row that is like an earlier survivor, in no order."""
        found: dict[int, Near] = {}
        settled = np.zeros(len(self._contexts), bool)
        rows, buckets = shared(self._keys)
        while len(rows):
            candidates = CandidatePairs(rows, buckets, settled)
            while candidates.has_ready():
                alike = self._verified(candidates.pairs())
                found.update(alike)
                candidates.advance(np.append(candidates.ready, np.fromiter(alike, np.int64, len(alike))))
            left = ~settled[rows]
            rows, buckets = without_singletons(rows[left], buckets[left])
        return found

    def _verified(self, pairs: Any) -> dict[int, Near]:
        """Of pairs (survivor, later row) in order, those that are alike by their texts; the first survivor of a row."""
        found: dict[int, Near] = {}
        last, grams = -1, set[str]()
        for survivor, row in self._likely(pairs):
            if row in found:
                continue
            if survivor != last:
                last, grams = survivor, ngrams(self._texts[survivor], self._size)
            alike = similarity(grams, ngrams(self._texts[row], self._size))
            if alike >= self._threshold:
                found[row] = Near(survivor, alike)
        return found

    def _likely(self, pairs: Any) -> Iterator[tuple[int, int]]:
        """Yield the pairs of one context whose signatures do not rule out that they are alike."""
        values = self._sketches.shape[1]
        deviation = math.sqrt(self._threshold * (1 - self._threshold) / values)
        least = (self._threshold - _DOUBT * deviation) * values
        for start in range(0, len(pairs), _PAIRS_AT_ONCE):
            part = pairs[start : start + _PAIRS_AT_ONCE]
            one, other = part.T
            agree = np.count_nonzero(self._sketches[one] == self._sketches[other], axis=1)
            likely = (agree >= least) & (self._contexts[one] == self._contexts[other])
            yield from part[likely].tolist()


class _TextFile:
    """Texts by their number, in a file that lies open."""

    def __init__(self, path: Path, rows: int) -> None:
        self.rows = 0
        self._file = path.open("w+b")
        self._ends = np.zeros(rows + 1, np.int64)

    def append(self, texts: Sequence[str]) -> None:
        encoded = [text.encode() for text in texts]
        self._file.write(b"".join(encoded))
        ends = np.cumsum([len(text) for text in encoded]) + self._ends[self.rows]
        self._ends[self.rows + 1 : self.rows + 1 + len(texts)] = ends
        self.rows += len(texts)

    def __getitem__(self, row: int) -> str:
        self._file.flush()
        start, end = self._ends[row : row + 2].tolist()
        return os.pread(self._file.fileno(), end - start, start).decode()

    def close(self) -> None:
        self._file.close()


def _context(turns: Sequence[Mapping[str, str]]) -> int:
    """Return a number for all but a conversation's last text: prompts that differ in it are not compared. Mostly 0."""
    if len(turns) == 1 and turns[0]["role"] == "user":
        return 0
    before = [[turn["role"], fold(turn["content"])] for turn in turns[:-1]]
    return int(digest([before, turns[-1]["role"] if turns else None])[:16], 16)


def _slices(texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Ranges of texts, of some million characters each."""
    start = characters = 0
    for place, text in enumerate(texts):
        if characters > _CHARACTERS_AT_ONCE:
            yield start, place
            start, characters = place, 0
        characters += len(text)
    if start < len(texts):
        yield start, len(texts)
