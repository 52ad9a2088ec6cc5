"""The remedy in a sentence about a name that is not known."""

from collections.abc import Iterable
from difflib import get_close_matches

MOST_SHOWN = 20


def remedy(value: str, known: Iterable[str], otherwise: str = "") -> str:
    """Return what to write instead of a name: the nearest known one, else one of them or something otherwise."""
    names = list(known)
    if match := get_close_matches(value, names, n=1, cutoff=0.5):
        return f"did you mean {match[0]!r}?"
    shown = [*names[:MOST_SHOWN], *(["…"] if len(names) > MOST_SHOWN else [])]
    return f"use one of {', '.join(shown)}{f', or {otherwise}' if otherwise else ''}"


def nearest(value: str, known: Iterable[str], none: str = "there are none") -> str:
    """Return the nearest known name if any is near, and all that there are (at most 20); `none` says that there are
    none.
    """
    names = list(known)
    match = get_close_matches(value, names, n=1, cutoff=0.5)
    shown = ", ".join(names[:MOST_SHOWN]) + (", …" if len(names) > MOST_SHOWN else "")
    there_are = f"there are {shown}" if names else none
    return f"did you mean {match[0]!r}? {there_are}" if match else there_are
