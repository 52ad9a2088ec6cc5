"""The pieces of a text by which a classifier knows its kind: runs of words in English, of characters in Japanese.

A new line is a token, too: what stands on it is often what the first one speaks of.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence

LONGEST_RUN = 5
LENGTH_STEP = 40
LENGTH_STEPS = 8
_TOKEN = re.compile(r"[a-z']+|\d+|\n|[^\sa-z\d]")


def tokens_of(text: str) -> list[str]:
    """Return the tokens of a text, between marks of its beginning and end.

    What a text says in capitals or full-width letters is the same as in others.
    """
    lines = unicodedata.normalize("NFKC", text).lower().replace("’", "'").splitlines()
    plain = "\n".join(line.strip() for line in lines if line.strip())
    return ["^", *_TOKEN.findall(plain), "$"]


def pieces_of(tokens: Sequence[str], asked: Sequence[str] = ()) -> set[str]:
    """Return the pieces of a text: runs of up to five tokens, tokens with any one between them, and its length.

    Args:
        tokens: The tokens of the text.
        asked: The tokens of what it answers, of which single ones count.
    """
    places = range(len(tokens))
    runs = {
        " ".join(tokens[place : place + run])
        for run in range(1, LONGEST_RUN + 1)
        for place in places[: 1 - run or None]
    }
    return runs.union(other_pieces(tokens, asked))


def other_pieces(tokens: Sequence[str], asked: Sequence[str] = ()) -> Iterator[str]:
    """Yield the pieces that are no runs."""
    for first, last in zip(tokens, tokens[2:], strict=False):
        yield f"{first}_{last}"
    for token in asked:
        yield f"asked:{token}"
    yield f"length:{min(len(tokens) // LENGTH_STEP, LENGTH_STEPS)}"
