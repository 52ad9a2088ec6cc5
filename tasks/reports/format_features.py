"""What a text looks like apart from what it says: its length and its formatting, as counts."""

import re
from collections.abc import Callable, Sequence
from typing import Any

_LIST_ITEM = re.compile(r"^[ \t\u3000]*(?:(?:[-*+]|\d+[.)．])[ \t\u3000]+|[•・●○■◆①-⑳][ \t\u3000]*)\S", re.MULTILINE)
_HEADING = re.compile(r"^#{1,6} \S", re.MULTILINE)
_BOLD = re.compile(r"\*\*[^*\n]+\*\*|__[^_\n]+__")
_DIGIT = re.compile(r"\d")
_JAPANESE = re.compile(r"[぀-ヿ㐀-䶿一-鿿々]")
_EMOJI = re.compile(r"[\U0001f300-\U0001faff☀-➿]")
_QUESTION_END = re.compile(r"[?？][\s)”’」』）]*\Z")

FEATURES: dict[str, Callable[[str], int]] = {
    "characters": len,
    "lines": lambda text: text.count("\n") + 1,
    "list items": lambda text: len(_LIST_ITEM.findall(text)),
    "headings": lambda text: len(_HEADING.findall(text)),
    "bold parts": lambda text: len(_BOLD.findall(text)),
    "code blocks": lambda text: text.count("```") // 2,
    "digits": lambda text: len(_DIGIT.findall(text)),
    "exclamation marks": lambda text: text.count("!") + text.count("！"),
    "emoji": lambda text: len(_EMOJI.findall(text)),
    "Japanese characters": lambda text: len(_JAPANESE.findall(text)),
    "blanks at the ends": lambda text: len(text) - len(text.strip()),
    "question at the end": lambda text: int(_QUESTION_END.search(text) is not None),
}
"""The features by their names in reports, each with the function that counts it."""


def format_counts(texts: Sequence[str]) -> Any:
    """Return the counts of some texts as float64, of shape (texts, features)."""
    import numpy as np

    return np.array([[count(text) for count in FEATURES.values()] for text in texts], float).reshape(-1, len(FEATURES))
