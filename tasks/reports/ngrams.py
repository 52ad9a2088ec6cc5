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
_ONE, _PAIR_SHIFT = np.uint32(1), np.uint32(21)


def marked(text: str) -> str:
    """Return what is read of a text, between the marks of its ends."""
    read = text if len(text) <= HEAD + TAIL else f"{text[:HEAD]}{text[-TAIL:]}"
    return f"{BEGIN}{read}{END}"


def one_sided(pairs: Sequence[tuple[str, str]], first: int) -> Any:
    """Return the n-grams that one text of a pair has and the other one lacks, ascending, each once, as uint32.

    The upper 11 bits are the pair's number, the next 20 the bucket, and the last one is 0 for the first text of the
    pair and 1 for the second.

    Args:
        pairs: The marked texts of some pairs.
        first: The number of the first pair. No number is 2,048 or more.
    """
    texts = [text for pair in pairs for text in pair]
    codes = _codes("".join(texts))
    of_text = np.repeat(np.arange(len(texts), dtype=np.uint32), [len(text) for text in texts])
    rest = (((of_text >> _ONE) + np.uint32(first)) << _PAIR_SHIFT) | (of_text & _ONE)
    found = []
    for size in SIZES:
        buckets = _buckets(codes, size)
        within = of_text[: len(buckets)] == of_text[size - 1 :]
        found.append(((buckets << _ONE) | rest[: len(buckets)])[within])
    keys = sorted_unique(np.concatenate(found))
    in_both = keys[1:] >> _ONE == keys[:-1] >> _ONE
    alone = np.ones(len(keys), bool)
    alone[1:] &= ~in_both
    alone[:-1] &= ~in_both
    return keys[alone]


def read_one_sided(keys: Any) -> tuple[Any, Any, Any]:
    """Return the pairs' numbers, the buckets and the sides (0 or 1) of n-grams from `one_sided`."""
    return keys >> _PAIR_SHIFT, (keys >> _ONE) & np.uint32(BUCKETS - 1), keys & _ONE


def _codes(text: str) -> Any:
    """Return the characters of a text as uint64."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)


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
    codes = _codes(text)
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
