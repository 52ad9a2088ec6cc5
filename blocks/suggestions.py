"""The remedy in a sentence about a name that is not known."""

from collections.abc import Iterable
from difflib import get_close_matches

MOST_SHOWN = 20
CLOSE = 0.5


def close_to(value: str, known: Iterable[str], likeness: float = CLOSE) -> str | None:
    """Return the known name that a value is nearest to, None where none is as alike as that (from 0 to 1)."""
    return next(iter(get_close_matches(value, list(known), n=1, cutoff=likeness)), None)


def remedy(value: str, known: Iterable[str], otherwise: str = "") -> str:
    """Return what to write instead of a name: the nearest known one, else one of them or something otherwise."""
    names = list(known)
    if (close := close_to(value, names)) is not None:
        return f"did you mean {close!r}?"
    return f"use one of {_listed(names)}{f', or {otherwise}' if otherwise else ''}"


def nearest(value: str, known: Iterable[str], none: str = "there are none") -> str:
    """Return the nearest known name if any is near, and all of them (at most 20).

    Args:
        value: The name that is not known.
        known: The known names.
        none: What is said where there are none.
    """
    names = list(known)
    there_are = f"there are {_listed(names)}" if names else none
    close = close_to(value, names)
    return there_are if close is None else f"did you mean {close!r}? {there_are}"


def _listed(names: list[str]) -> str:
    return ", ".join([*names[:MOST_SHOWN], *(["…"] if len(names) > MOST_SHOWN else [])])
