"""Tell a mark that a text quotes or speaks of from one that a model or a chat template left there."""

import re
from collections.abc import Sequence

NEAR = 300
LONGEST_QUOTED_FENCE = 1500
"""A longer fence around a mark was rather opened in the thinking and never closed."""
_FENCE = re.compile(r"^[ \t]*(?:`{3,}|~{3,})(?P<info>[^\n`]*)$", re.MULTILINE)
_QUOTE = re.compile(
    r"“[^”\n]*”|‘[^’\n]*’|「[^」\n]*」|『[^』\n]*』|«[^»\n]*»"
    r"|(?<![A-Za-z0-9_.\"])\"(?=\S)[^\"\n]*(?<=\S)\"(?![A-Za-z0-9_])"
    r"|(?<![A-Za-z0-9_.'])'(?=\S)[^'\n]*(?<=\S)'(?![A-Za-z0-9_])"
    r"|(?<!`)(?P<ticks>`+)(?!`)[^\n]+?(?<!`)(?P=ticks)(?!`)"
)
_BRACKETS = {"(": ")", "（": "）", "[": "]", "【": "】", "*": "*", "_": "_", "~": "~", "<": ">", "＜": "＞"}
_WORD_BEFORE = re.compile(r"[^\s.!?。！？…][ \t]+\Z")
_NAMES = r"tags?|tokens?|marks?|markers?|elements?|blocks?|delimiters?|symbols?"
_SAYS = r"is|are|was|were|and|or|opens?|closes?|starts?|begins?|ends?|means?|stands|indicates?|tells|separates?|which"
_LINKS = (
    r"then|that|do|does|did|differs?|in|at|on|to|for|from|with|before|after|when|as|but|by|must|should|can|will|would"
    r"|without|around|inside|within|if|so|should|appears?|comes|goes|bedeutet|ist|und|oder|est|et"
)
_PARTICLE = (
    r"[ \t]*(?:は(?!い|じめ|っきり|て)|が(?!ん)|を|とは|という|といった|と(?=[<「、 ])|タグ|トークン|記号|マーク|です"
    r"|で(?:始|終|囲|挟|区)|や|の(?:後|前|間|中|あと|まえ|よう)|まで)"
)
_BEHIND = re.compile(
    rf"[ \t]*[,;:!?、，：；！？)）」』]|[ \t]*\.(?=[.\s]|\Z)|[ \t]*。|[ \t]+(?:{_NAMES}|{_SAYS}|{_LINKS})\b|{_PARTICLE}"
)
_BEHIND_BEGINNING = re.compile(rf"[ \t]*[,;、，；)）]|[ \t]+(?:{_NAMES}|{_SAYS})\b|{_PARTICLE}")
"""What a thought does not begin with, unlike "to solve this" or "..."."""


def fences(text: str) -> list[tuple[int, int]]:
    """Return where the closed code fences of a text begin and end."""
    spans: list[tuple[int, int]] = []
    opened: int | None = None
    for line in _FENCE.finditer(text) if "```" in text or "~~~" in text else ():
        if opened is None or line["info"].strip():
            opened = line.start()
        else:
            spans.append((opened, line.end()))
            opened = None
    return spans


def is_quoted(text: str, start: int, end: int, fenced: Sequence[tuple[int, int]] = ()) -> bool:
    """Return whether a mark at text[start:end] stands in quotation marks, brackets of its own, or code."""
    if any(first <= start < last and last - first <= LONGEST_QUOTED_FENCE for first, last in fenced):
        return True
    before, behind = _line_around(text, start, end)
    if before.startswith(("    ", "\t")) or _BRACKETS.get(before[-1:]) == behind[:1] != "":
        return True
    line, place = before + text[start:end] + behind, len(before)
    return any(span.start() < place and span.end() > place + end - start for span in _QUOTE.finditer(line))


def is_mentioned(text: str, start: int, end: int) -> bool:
    """Return whether a sentence speaks of a mark at text[start:end]: a word before it, or its verb behind."""
    before, behind = _line_around(text, start, end)
    return _WORD_BEFORE.search(before[-40:]) is not None or _BEHIND.match(behind) is not None


def is_spoken_of(text: str, start: int, end: int) -> bool:
    """Return whether a mark at text[start:end] is a word of a sentence, with further words or an end on both sides."""
    before, behind = _line_around(text, start, end)
    if before.strip():
        return _WORD_BEFORE.search(before[-40:]) is not None and _BEHIND.match(behind) is not None
    return _BEHIND_BEGINNING.match(behind) is not None


def is_mentioned_first(text: str, end: int) -> bool:
    """Return whether a text that begins with a mark up to text[end] continues with a sentence about that mark."""
    return _BEHIND_BEGINNING.match(text, end) is not None


def _line_around(text: str, start: int, end: int) -> tuple[str, str]:
    """Return the relevant text before and after a mark on its line."""
    before, behind = text[max(0, start - NEAR) : start], text[end : end + NEAR]
    return before.rpartition("\n")[2], behind.partition("\n")[0]
