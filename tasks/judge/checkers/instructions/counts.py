"""How many words, sentences, paragraphs and so on a text has: the fewest and the most that people would count."""

import re
from collections.abc import Callable

Span = tuple[int, int]
"""The fewest and the most."""

_FENCE = re.compile(r"```.*?```", re.DOTALL)
_HYPHENS = re.compile(r"[A-Za-z0-9]+(?:['’.,][A-Za-z0-9]+)*")
_MARKS = re.compile(r"^\s*(?:#{1,6}\s+|>\s?|(?:[-*+•・●○‣▪]|\d{1,2}[.)])\s+)", re.MULTILINE)
_ABBREVIATION = re.compile(
    r"\b(?:[A-Za-z]|Mr|Mrs|Ms|Dr|Prof|St|Jr|Sr|vs|etc|approx|No|Inc|Ltd|Co|Fig|al|cf|pp|e\.g|i\.e|a\.m|p\.m|U\.S)\.(?=\s|\Z)"
)
_TITLE = re.compile(r"\b(?:Mr|Mrs|Ms|Dr|Prof|vs|e\.g|i\.e)\.(?=\s)")
_STOP = re.compile(r"[.!?]+[\"'”’)\]*_]*(?=\s|\Z)|[。！？]+[」』）)]*|…+(?=\s|\Z)")
_HEADING = re.compile(r"^\s*(?:#{1,6}\s.*|\*\*[^*\n]+\*\*:?|<<.*>>|[-*_]{3,})\s*$", re.MULTILINE)
_BULLET = re.compile(r"^(?P<indent>[ \t]*)(?P<mark>[-*+](?=\s)|[•・●○‣▪◦]|\d{1,2}[.)．](?!\d))\s*\S", re.MULTILINE)
_RULE = re.compile(r"^\s*([-*_])(?:\s*\1){2,}\s*$", re.MULTILINE)
_MAYBE_BULLET = re.compile(
    r"^\s*(?:[^\w\s#|<\"'“「『（(`]|\(?\w{1,2}[.)．）]|[①-⑳])|(?<=\S)\s+[-–•・●*]\s+(?=\S)|(?<=\S)[•●]", re.MULTILINE
)
"""What some take for a bullet: other signs, letters, marks within a line."""
_LOOSE_STOP = re.compile(
    r"[.!?]+(?=[A-Z])|(?<=[ぁ-んァ-ヶー一-鿿])[.．!?]+(?=\S)|[♪☆★♥❤\U0001f300-\U0001faff]+(?=\s|\Z)"
)
_ELLIPSIS = re.compile(r"\.{2,}|…+")
_QUOTED = re.compile(r"「[^」]*」|『[^』]*』|“[^”]*”|\"[^\"\n]*\"|（[^）]*）|\([^()]*\)")
_WITHOUT_BLANKS = re.compile(r"[ぁ-んァ-ヶー一-鿿가-힣ก-๛]")
UNKNOWN = 10**9


_LIST = re.compile(r"\s*(?:[-*+•・●○‣▪|>]\s*\S|\d{1,2}[.)]\s|```)")


def words(text: str) -> Span:
    """English words: hyphenated ones as one or several, marks of lists and headings not counted or counted."""
    if _WITHOUT_BLANKS.search(text):
        return 1, UNKNOWN
    prose = re.sub(r"\[\d+\]", "", _FENCE.sub("", text))
    blank = [word for word in _MARKS.sub("", prose).split() if re.search(r"\w", word)]
    single = _HYPHENS.findall(text)
    return _span(
        len(blank),
        len(single),
        len(text.split()),
        len(re.findall(r"[\w'’]+(?:[.,]\d+)*", text)) if "," in text else len(single),
    )


def characters(text: str) -> Span:
    """Characters: without blanks and punctuation at the fewest, with all of them at the most."""
    letters = re.sub(r"[\s\W_]", "", text)
    return _span(len(letters), len(re.sub(r"\s", "", text)), len(text.strip()))


def sentences(text: str) -> Span:
    """Sentences: abbreviations end none; lines without a stop, such as headings, may count or not."""
    prose = _TITLE.sub("x", _HEADING.sub("", text))
    ends = len(_STOP.findall(prose)) + len(_LOOSE_STOP.findall(prose))
    sure = len(_STOP.findall(_ELLIPSIS.sub("", _ABBREVIATION.sub("x", _QUOTED.sub("x", _FENCE.sub("", prose))))))
    lines = [line for line in text.splitlines() if line.strip()]
    open_lines = sum(not _STOP.search(line.rstrip()[-4:]) for line in lines)
    return _span(max(sure, 1 if lines else 0), ends + open_lines)


def paragraphs(text: str) -> Span:
    """Paragraphs: between blank lines; single lines and headings may count or not."""
    blocks = [block for block in re.split(r"\n[ \t]*\n", text.strip()) if block.strip()]
    prose = [block for block in blocks if not _HEADING.fullmatch(block.strip()) and not _LIST.match(block)]
    lines = [line for line in text.splitlines() if line.strip()]
    return _span(len(prose), len(blocks), len(lines))


def bullets(text: str) -> Span:
    """Bullet points: nested and numbered ones may count or not."""
    text = _RULE.sub("", text)
    found, maybe = list(_BULLET.finditer(_FENCE.sub("", text))), len(_MAYBE_BULLET.findall(text))
    if not found:
        return 0, maybe
    least = min(len(one["indent"].expandtabs(4)) for one in found)
    top = [one for one in found if len(one["indent"].expandtabs(4)) <= least + 1]
    dashes = [one for one in top if not one["mark"][0].isdigit()]
    return _span(len(dashes) if dashes else 0, len(top), len(found), maybe)


def _span(*counts: int) -> Span:
    return min(counts), max(counts)


COUNTS: dict[str, Callable[[str], Span]] = {
    "words": words,
    "sentences": sentences,
    "paragraphs": paragraphs,
    "characters": characters,
    "bullets": bullets,
}
