"""Text from models and datasets made safe and short enough to show, and numbers as people read them."""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from kasasagi.blocks.suggestions import close_to

ELLIPSIS = "…"
# Controls, invisible marks and everything that turns the direction of writing; joiners (200C, 200D) shape real text.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)


def visible(text: str) -> str:
    """Return the text with its control, direction and invisible characters spelt out (`\\x1b`, `\\u202e`).

    Line ends stay, tabs become blanks; what is left does nothing to a terminal but print.
    """
    return _UNSAFE.sub(_spelt, text.replace("\r\n", "\n").replace("\t", "    "))


def safe_json(text: str) -> str:
    """Return the same JSON with those characters as JSON escapes: fit for a terminal, and it still means the same."""
    return _UNSAFE.sub(lambda match: json.dumps(match[0])[1:-1], text)


def cut(text: str, chars: int) -> str:
    """Return the text, or its first characters and an ellipsis."""
    return text if len(text) <= chars else text[: max(chars - 1, 0)] + ELLIPSIS


def one_line(text: str, chars: int) -> str:
    """Return the beginning of a text on one line, safe to print."""
    return cut(" ".join(visible(text[: 2 * chars]).split()), chars)


def count(number: int | None) -> str:
    """Return a count with its thousands parted; nothing for none."""
    return "" if not number else f"{number:,}"


def dollars(amount: float) -> str:
    """Return an amount of US dollars, small ones with more digits."""
    if not amount:
        return "$0"
    return f"${amount:,.2f}" if amount >= 1 else f"${amount:.4f}" if amount >= 0.0001 else "<$0.0001"


def duration(seconds: float | None) -> str:
    """Return a span of time in the two units that matter; nothing if it is not known."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def plural(number: int, noun: str) -> str:
    """Return a number with its noun: `1 pair`, `2,000 pairs`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` where a known name is close, else nothing."""
    close = close_to(name, known)
    return "" if close is None else f"; did you mean {close!r}?"


def messages_text(messages: Sequence[dict[str, Any]] | None) -> str:
    """Return a conversation as text: a lone turn as it is, a longer one with its roles."""
    turns = messages or []
    if len(turns) == 1:
        return str(turns[0]["content"])
    return "\n".join(f"{turn['role']}: {turn['content']}" for turn in turns)


def _spelt(match: re.Match[str]) -> str:
    code = ord(match[0])
    if match[0] == "\r":
        return "\\r"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
