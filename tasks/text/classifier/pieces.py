"""The pieces of a text by which a classifier knows its kind: runs of words in English, of characters in Japanese.

A new line is a token, too: what stands on it is often what the first one speaks of.
"""

import re
import unicodedata

LONGEST_RUN = 5
LENGTH_STEP = 40
LENGTH_STEPS = 8
_TOKEN = re.compile(r"[a-z']+|\d+|\n|[^\sa-z\d]")


def pieces_of(text: str, asked: str = "") -> set[str]:
    """Return the pieces of a text: runs of up to five tokens, tokens with any one between them, and its length.

    Args:
        text: The text; what it says in capitals or full-width letters is the same as in others.
        asked: What the text answers, of which single tokens count.
    """
    plain = _plain(text)
    tokens = ["^", *_TOKEN.findall(plain), "$"]
    places = range(len(tokens))
    runs = {
        " ".join(tokens[place : place + run])
        for run in range(1, LONGEST_RUN + 1)
        for place in places[: 1 - run or None]
    }
    around = {f"{first}_{last}" for first, last in zip(tokens, tokens[2:], strict=False)}
    before = {f"asked {token}" for token in _TOKEN.findall(_plain(asked))}
    return runs | around | before | {f"length {min(len(plain) // LENGTH_STEP, LENGTH_STEPS)}"}


def _plain(text: str) -> str:
    lines = unicodedata.normalize("NFKC", text).lower().replace("’", "'").strip().splitlines()
    return "\n".join(line.strip() for line in lines if line.strip())
