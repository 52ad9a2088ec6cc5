"""MinHash signatures of texts over their character n-grams, and how they are cut into bands (LSH).

Two texts share one value of a signature with a probability that is the Jaccard similarity s of their n-gram sets
(Broder 1997). A band of r values is shared with s^r, so one of b bands with 1 - (1 - s^r)^b (Indyk, Motwani 1998).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

MOST_VALUES = 576
MISSED = 1e-3
_WINDOWS_AT_ONCE = 1 << 15
_CODE_BITS = np.uint64(21)
ODD = np.uint64(0x9E3779B97F4A7C15)
_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_PADDING = "\uffff"


@dataclass(frozen=True, slots=True)
class Banding:
    """How a signature is cut: bands of so many values each."""

    bands: int
    values: int

    @classmethod
    def for_threshold(cls, threshold: float) -> "Banding":
        """Return the widest bands that miss a pair at the threshold once in a thousand, and likelier pairs far more
        rarely.

        Wide bands give fewer pairs that are not similar; a signature has at most 576 values.
        """
        best = cls(_bands(threshold, 1), 1)
        for values in range(2, 33):
            bands = _bands(threshold, values)
            if bands * values > MOST_VALUES:
                break
            best = cls(bands, values)
        return best

    @property
    def size(self) -> int:
        """How many values a signature has."""
        return self.bands * self.values


def _bands(threshold: float, values: int) -> int:
    shared = threshold**values
    return 1 if shared >= 1 else math.ceil(math.log(MISSED) / math.log1p(-shared))


def ngrams(text: str, size: int) -> set[str]:
    """Return the set of a text's character n-grams; a shorter text is its only one."""
    return {text[start : start + size] for start in range(max(1, len(text) - size + 1))}


def similarity(one: set[str], other: set[str]) -> float:
    """Return the Jaccard similarity of two sets that are not empty."""
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)


def signatures(texts: Sequence[str], salts: Any, size: int, values: int) -> Any:
    """Return the MinHash signatures of some texts, as uint32 of shape (values, texts).

    salts has one uint64 a text: texts with different salts share nothing.
    """
    hashes, counts = _hashed(texts, salts, size)
    starts = np.cumsum(counts) - counts
    factors = np.random.default_rng(size).integers(0, 1 << 32, values, dtype=np.uint32) | np.uint32(1)
    found = np.empty((values, len(texts)), np.uint32)
    first = 0
    while first < len(texts):
        last = max(first + 1, int(np.searchsorted(starts, starts[first] + _WINDOWS_AT_ONCE)))
        end = starts[last] if last < len(texts) else len(hashes)
        part, places = hashes[starts[first] : end], starts[first:last] - starts[first]
        product = np.empty_like(part)
        for number, factor in enumerate(factors):
            np.multiply(part, factor, out=product)
            np.minimum.reduceat(product, places, out=found[number, first:last])
        first = last
    return found


def band_keys(signature: Any, banding: Banding) -> Any:
    """Return one uint32 for each band of each text, equal where all values of the band are, of shape (bands, texts)."""
    keys = np.empty((banding.bands, signature.shape[1]), np.uint32)
    for band in range(banding.bands):
        key = np.zeros(signature.shape[1], np.uint64)
        for value in signature[band * banding.values : (band + 1) * banding.values]:
            key = mixed(key * ODD + value)
        keys[band] = key >> np.uint64(32)
    return keys


def _hashed(texts: Sequence[str], salts: Any, size: int) -> tuple[Any, Any]:
    """Return the hashes (uint32) of all n-grams of all texts in a row, and how many each text has."""
    padded = [text.ljust(size, _PADDING) for text in texts]
    lengths = np.fromiter(map(len, padded), np.int64, len(padded))
    codes = np.frombuffer("".join(padded).encode("utf-32-le"), np.uint32).astype(np.uint64)
    windows = len(codes) - size + 1
    rolled = codes[:windows].copy()
    for place in range(1, size):
        rolled = (rolled << _CODE_BITS if size <= 3 else rolled * ODD) + codes[place : windows + place]
    inside = np.ones(len(codes), bool)
    for place in range(1, size):
        inside[np.cumsum(lengths) - place] = False
    counts = lengths - (size - 1)
    return (mixed(rolled[inside[:windows]] ^ np.repeat(salts, counts)) >> np.uint64(32)).astype(np.uint32), counts


def mixed(numbers: Any) -> Any:
    """Return the finalizer of SplitMix64 (Steele, Lea, Flood 2014), a bijection."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * _MIX[0]
    numbers = (numbers ^ (numbers >> np.uint64(27))) * _MIX[1]
    return numbers ^ (numbers >> np.uint64(31))
