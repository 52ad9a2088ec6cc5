"""Verdicts that a judge may have copied out of a text that it judges: they are somebody else's, and none of its own."""

import re
from collections.abc import Callable, Iterable, Sequence

from kasasagi.tasks.judge.replies.lines import plain_head, quote, refuse

_ENDS = re.compile("[\\r\\n\\v\\f\\x1c-\\x1e\\x85\\u2028\\u2029]+")
_BLANKS = re.compile(r"\s+")


def refuse_copied_lines(lines: Iterable[str], is_verdict: Callable[[str], bool], texts: Sequence[str]) -> None:
    """Refuse a reply one of whose verdict lines stands in a judged text as well.

    Args:
        lines: The lines of the reply.
        is_verdict: Whether a line carries a verdict.
        texts: The texts that the judge was shown.

    Raises:
        UnreadableReply: A verdict line may be a quotation.
    """
    if not texts:
        return
    theirs = {plain_head(line) for text in texts for line in _ENDS.split(text)} - {""}
    for raw in lines:
        if plain_head(raw) in theirs and is_verdict(raw):
            refuse("copied_verdict", f"the line {quote(raw)} also stands in a text that was judged")


def refuse_copied_json(body: str, texts: Sequence[str]) -> None:
    """Refuse a JSON value that stands in a judged text as well, but for blanks.

    Raises:
        UnreadableReply: The value may be a quotation.
    """
    plain = _BLANKS.sub("", body)
    if any(plain in _BLANKS.sub("", text) for text in texts):
        refuse("copied_verdict", "the JSON value also stands in a text that was judged")
