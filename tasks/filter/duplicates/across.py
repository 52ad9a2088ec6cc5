"""Near duplicates across two splits: prompts of the test split that are like one of the training split."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any, NamedTuple

import numpy as np
import orjson

from kasasagi.tasks.filter.duplicates.keys import fold
from kasasagi.tasks.filter.duplicates.minhash import Banding, band_keys, ngrams, signatures, similarity

# The text of this module is part of the filter's cache keys, so the function keeps its name there.
from kasasagi.tasks.filter.duplicates.near import _context as context_of

LIKENESS = 0.7
GRAM = 3
MOST_TESTED = 2_000
EXAMPLES = 5
_TEXTS_AT_ONCE = 2_000
_CHARACTERS = 8_000
_PAIRS_AT_ONCE = 1 << 16
_DOUBT = 0.06
"""How much a signature may understate a similarity: three standard deviations."""
Turns = Sequence[Mapping[str, str]]


class Likeness(NamedTuple):
    """A prompt of the test split, the training prompt that it is like, and their Jaccard similarity."""

    test: str
    train: str
    similarity: float


@dataclass(frozen=True, slots=True)
class SplitAudit:
    """How many of `tested` prompts of the test split, of `of` in all, are like one of the `train` prompts."""

    tested: int
    of: int
    train: int
    near: int
    examples: tuple[Likeness, ...]


class AcrossSplits:
    """Takes in the prompts of both splits, each once and ordered by id, and finds those that are alike.

    The test prompts stay in memory, at most 2,000; the training prompts wait in a file.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._test: list[tuple[int, str]] = []
        self._tests = self._trains = 0
        self._last: dict[bool, str] = {}

    def add(self, is_test: bool, ids: Sequence[str], prompts: Sequence[Turns]) -> None:
        """Take in some more prompts; one that is there already, since it has several pairs, is passed over."""
        for name, turns in zip(ids, prompts, strict=True):
            if name != self._last.get(is_test):
                self._last[is_test] = name
                self._add(is_test, (context_of(turns), fold(turns[-1]["content"] if turns else "")[:_CHARACTERS]))

    def _add(self, is_test: bool, prompt: tuple[int, str]) -> None:
        if not is_test:
            self._trains += 1
            self._file.write(orjson.dumps(prompt) + b"\n")
            return
        self._tests += 1
        if len(self._test) < MOST_TESTED:
            self._test.append(prompt)

    def find(self) -> SplitAudit:
        """Return what is alike."""
        found: dict[int, Likeness] = {}
        tested = _Tested(self._test)
        for prompts in self._training():
            for place, row in tested.likeliest(prompts, found):
                text = prompts[row][1]
                if (alike := tested.similarity(place, text)) >= LIKENESS:
                    found[place] = Likeness(self._test[place][1], text, alike)
        examples = sorted(found.values(), key=lambda one: (-one.similarity, one.test, one.train))[:EXAMPLES]
        return SplitAudit(len(self._test), self._tests, self._trains, len(found), tuple(examples))

    def _training(self) -> Iterator[list[tuple[int, str]]]:
        self._file.seek(0)
        prompts: list[tuple[int, str]] = []
        for line in self._file:
            prompts.append(tuple(orjson.loads(line)))
            if len(prompts) == _TEXTS_AT_ONCE:
                yield prompts
                prompts = []
        if prompts:
            yield prompts


class _Tested:
    """The test prompts, by their signatures and the keys of their bands."""

    def __init__(self, prompts: Sequence[tuple[int, str]]) -> None:
        self._banding = Banding.for_threshold(LIKENESS)
        self._grams = [ngrams(text, GRAM) for _, text in prompts]
        self._sketches, keys = self._signed(prompts)
        self._order = np.argsort(keys, axis=1, kind="stable")
        self._sorted = np.take_along_axis(keys, self._order, axis=1)

    def likeliest(self, prompts: Sequence[tuple[int, str]], found: Collection[int]) -> Iterator[tuple[int, int]]:
        """Yield test prompts, by their places, with the place of the training prompt whose signature is most alike.

        Only one of all training prompts is compared on its text, since prompts of one template are all a little alike.

        Args:
            prompts: Training prompts.
            found: The places of test prompts that are left out, since something is known to be like them.
        """
        sketches, keys = self._signed(prompts)
        places, rows = self._sharing_a_band(keys, found)
        agree = np.concatenate([np.empty(0, np.int64), *self._agreements(places, rows, sketches)])
        order = np.lexsort((rows, -agree, places))
        first = order[np.append(True, np.diff(places[order]) > 0)] if len(order) else order
        for one in first[agree[first] >= (LIKENESS - _DOUBT) * self._banding.size].tolist():
            yield int(places[one]), int(rows[one])

    def _sharing_a_band(self, keys: Any, found: Collection[int]) -> tuple[Any, Any]:
        """Return the places of test prompts and training prompts that share a band, each pair once."""
        shared = np.zeros((len(self._grams), keys.shape[1]), bool)
        for one, ordered, order in zip(keys, self._sorted, self._order, strict=True):
            low, high = (np.searchsorted(ordered, one, side) for side in ("left", "right"))
            counts = high - low
            rows = np.repeat(np.arange(len(one)), counts)
            places = order[np.arange(counts.sum()) + np.repeat(low - (np.cumsum(counts) - counts), counts)]
            shared[places, rows] = True
        shared[list(found)] = False
        places, rows = np.nonzero(shared)
        return places, rows

    def _agreements(self, places: Any, rows: Any, sketches: Any) -> Iterator[Any]:
        """Yield how many values of their signatures pairs share, some pairs at a time."""
        for start in range(0, len(places), _PAIRS_AT_ONCE):
            part = slice(start, start + _PAIRS_AT_ONCE)
            yield np.count_nonzero(self._sketches[places[part]] == sketches[rows[part]], axis=1)

    def similarity(self, place: int, text: str) -> float:
        """Return the Jaccard similarity of a test prompt and a text."""
        return similarity(self._grams[place], ngrams(text, GRAM))

    def _signed(self, prompts: Sequence[tuple[int, str]]) -> tuple[Any, Any]:
        """Return the signatures of prompts, each value as a byte, by prompt, and the keys of their bands, by band."""
        if not prompts:
            return np.empty((0, self._banding.size), np.uint8), np.empty((self._banding.bands, 0), np.uint32)
        salts = np.array([context for context, _ in prompts], np.uint64)
        found = signatures([text for _, text in prompts], salts, GRAM, self._banding.size)
        return np.ascontiguousarray(found.T).astype(np.uint8), band_keys(found, self._banding)
