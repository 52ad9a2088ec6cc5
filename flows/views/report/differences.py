"""What differs between two texts, word by word; where a language has no blanks, a change of script ends a word."""

import re
from difflib import SequenceMatcher

_KANJI, _HIRAGANA, _KATAKANA = "一-鿿々", "ぁ-ゖゝゞ", "ァ-ヺー"
_PIECE = re.compile(
    rf"[{_KANJI}]{{1,2}}|[{_HIRAGANA}]+|[{_KATAKANA}]+"
    rf"|[^\W{_KANJI}{_HIRAGANA}{_KATAKANA}]+(?:'[a-z]+)?|\s+|.",
    re.DOTALL,
)
MOST_WORK = 250_000


def marked(one: str, other: str) -> tuple[list[str], list[str]]:
    """Return both texts in pieces that are alternately the same and different; the first one is the same.

    Joined, the pieces are the text. Long texts are compared at their beginnings and ends alone.
    """
    left, right = _PIECE.findall(one), _PIECE.findall(other)
    start = _common(left, right)
    end = _common(left[start:][::-1], right[start:][::-1])
    inner = left[start : len(left) - end], right[start : len(right) - end]
    before, after = "".join(left[:start]), "".join(left[len(left) - end :])
    pieces = _inside(*inner)
    return _joined(before, pieces[0], after), _joined(before, pieces[1], after)


def _common(left: list[str], right: list[str]) -> int:
    """Return how many pieces at the beginning are equal."""
    for place, (one, other) in enumerate(zip(left, right, strict=False)):
        if one != other:
            return place
    return min(len(left), len(right))


def _inside(left: list[str], right: list[str]) -> tuple[list[tuple[bool, str]], list[tuple[bool, str]]]:
    """Return the pieces of the middles, each with whether it differs."""
    if len(left) * len(right) > MOST_WORK:
        return [(True, "".join(left))], [(True, "".join(right))]
    sides: tuple[list[tuple[bool, str]], list[tuple[bool, str]]] = ([], [])
    for kind, a, b, c, d in SequenceMatcher(str.isspace, left, right, autojunk=False).get_opcodes():
        sides[0].append((kind != "equal", "".join(left[a:b])))
        sides[1].append((kind != "equal", "".join(right[c:d])))
    return sides


def _joined(before: str, pieces: list[tuple[bool, str]], after: str) -> list[str]:
    """Return alternating pieces: same, different, same, …; empty ones where two of a kind would follow each other."""
    joined = [before]
    for different, text in [*pieces, (False, after)]:
        if not text:
            continue
        if (len(joined) % 2 == 0) == different:
            joined[-1] += text
        else:
            joined.append(text)
    return joined
