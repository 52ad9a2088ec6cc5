"""Some pairs for a first look: those of a sample whose prompts differ most."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median_low
from typing import Any

from kasasagi.tasks.text.languages import script_of

GRAM = 3


def pick_varied(pairs: Sequence[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """Return so many of some pairs, in their order: prompts as different as can be, margins not below the median.

    Prompts are compared by their language, by whether they have numbers and several lines, and by their character
    3-grams, so that other languages and kinds of task come first. Two that both have numbers are more alike than two
    of one language, or two without: a second sum in another language is no other kind of task.
    """
    if len(pairs) <= count or not count:
        return list(pairs[:count])
    clear = _with_clear_margins(pairs, count)
    looks = [_look(pair) for pair in clear]
    chosen = [0]
    nearest = [_likeness(looks[0], one) for one in looks]
    while len(chosen) < count:
        following = min((at for at in range(len(clear)) if at not in chosen), key=lambda at: nearest[at])
        chosen.append(following)
        nearest = [old + _likeness(looks[following], one) for old, one in zip(nearest, looks, strict=True)]
    return [clear[at] for at in sorted(chosen)]


def _with_clear_margins(pairs: Sequence[dict[str, Any]], count: int) -> Sequence[dict[str, Any]]:
    """Return the pairs with at least the median margin; all of them where too few have one."""
    margins = [pair["margin"] for pair in pairs if pair["margin"] is not None]
    if not margins:
        return pairs
    least = median_low(margins)
    clear = [pair for pair in pairs if pair["margin"] is not None and pair["margin"] >= least]
    return clear if len(clear) >= count else pairs


@dataclass(frozen=True, slots=True)
class _Look:
    script: str | None
    kinds: tuple[bool, ...]
    grams: frozenset[str]


def _look(pair: dict[str, Any]) -> _Look:
    text = " ".join(turn["content"] for turn in pair["messages"] or ())[:1000].casefold()
    kinds = (any(sign.isdigit() for sign in text), "\n" in text)
    return _Look(script_of(text), kinds, frozenset(text[at : at + GRAM] for at in range(max(1, len(text) - GRAM + 1))))


def _likeness(one: _Look, other: _Look) -> float:
    kinds = sum((1 + has) * (has == also) for has, also in zip(one.kinds, other.kinds, strict=True))
    same = (kinds + (one.script == other.script)) / (1 + len(one.kinds))
    return same + len(one.grams & other.grams) / len(one.grams | other.grams)
