"""Character n-grams of texts as numbered buckets, and back to the characters that a bucket stands for.

A text stands between two marks, so that an n-gram also says what a text begins or ends with.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from kasasagi.tasks.filter.duplicates.buckets import sorted_unique
from kasasagi.tasks.filter.duplicates.minhash import ODD, mixed

SIZES = (1, 2, 3, 5)
BUCKETS = 1 << 20
HEAD, TAIL = 1_500, 500
"""How many characters of a longer text are read, from its beginning and from its end."""
BEGIN, END = "\x02", "\x03"
PHRASE = 40
_AGREE = 0.9
_OCCURRENCES = 60


def marked(text: str) -> str:
    """Return what is read of a text, between the marks of its ends."""
    read = text if len(text) <= HEAD + TAIL else f"{text[:HEAD]}{text[-TAIL:]}"
    return f"{BEGIN}{read}{END}"


def buckets_of(text: str) -> Any:
    """Return the buckets of a marked text's n-grams, ascending, each once, as uint32."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    return sorted_unique(np.concatenate([_buckets(codes, size) for size in SIZES]))


def _buckets(codes: Any, size: int) -> Any:
    """Return the bucket of each n-gram of one size, in the order of the text."""
    count = max(0, len(codes) - size + 1)
    rolled = np.full(count, size, np.uint64)
    for place in range(size):
        rolled = rolled * ODD + codes[place : place + count]
    return (mixed(rolled) % np.uint64(BUCKETS)).astype(np.uint32)


def phrase_of(bucket: int, texts: Sequence[str]) -> str:
    """Return the characters of a bucket in some marked texts, and those around them wherever nearly all texts agree."""
    found = [place for text in texts[:_OCCURRENCES] for place in _places(bucket, text)]
    if not found:
        return ""
    gram = Counter(text[start:end] for text, start, end in found).most_common(1)[0][0]
    there = [(text, start, end) for text, start, end in found if text[start:end] == gram]
    after = _extension([text[end : end + PHRASE] for text, _, end in there])
    before = _extension([text[max(0, start - PHRASE) : start][::-1] for text, start, _ in there])[::-1]
    return f"{before}{gram}{after}"


def _places(bucket: int, text: str) -> list[tuple[str, int, int]]:
    """Return the first place of a bucket in a text, if it is there."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    for size in SIZES:
        if len(found := np.flatnonzero(_buckets(codes, size) == bucket)):
            return [(text, int(found[0]), int(found[0]) + size)]
    return []


def _extension(rests: Sequence[str]) -> str:
    """Return the beginning that nearly all of some texts share."""
    shared = ""
    while len(shared) < PHRASE:
        following = Counter(rest[len(shared)] for rest in rests if rest.startswith(shared) and len(rest) > len(shared))
        if not following or following.most_common(1)[0][1] < _AGREE * len(rests):
            return shared
        shared += following.most_common(1)[0][0]
    return shared
