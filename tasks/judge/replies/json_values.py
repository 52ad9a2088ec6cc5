"""Verdicts in JSON: the one value that a reply may hold, read with its numbers as they are written."""

import json
import re
from collections.abc import Sequence
from typing import Any

from kasasagi.tasks.judge.replies.lines import FENCE, refuse


class Number(str):
    """A number as it stands in JSON, so that 4, 4.0 and 4.5 are read by the same eyes as in a labelled line."""

    __slots__ = ()


def split_json(
    lines: Sequence[str], must_name: re.Pattern[str], must_set: re.Pattern[str]
) -> tuple[Any, str, Sequence[str]]:
    """Split a reply into its JSON value and the lines beside it.

    Args:
        lines: The lines of the reply.
        must_name: Finds the key that every verdict has.
        must_set: Finds that key where it gets a value.

    Returns:
        The value with its numbers as written and its objects as pairs, None where there is none or it names no verdict;
        the text that should be JSON; the lines before and behind that text.

    Raises:
        UnreadableReply: What looks like JSON is not that alone.
    """
    span = _json_span(lines)
    body = "".join(lines[span.start : span.stop])
    value = _parse_json(body) if must_name.search(body) else None
    if value is None and any(line.lstrip().startswith(("{", "[")) and must_set.search(line) for line in lines):
        refuse("not_json", "the reply holds what looks like JSON, but is not that alone")
    return value, body, (*lines[: span.start], *lines[span.stop :])


def _json_span(lines: Sequence[str]) -> range:
    """Return the lines that should be JSON: of a lone fenced block, or of all, those from the first that
    opens a value.
    """
    fences = [index for index, line in enumerate(lines) if FENCE.fullmatch(line)]
    start, stop = (fences[0] + 1, fences[1]) if len(fences) == 2 else (0, len(lines))
    opening = (index for index in range(start, stop) if lines[index].lstrip().startswith(("{", "[")))
    return range(next(opening, stop), stop)


def _parse_json(body: str) -> Any:
    try:
        return json.loads(body, object_pairs_hook=tuple, parse_int=Number, parse_float=Number)
    except (ValueError, RecursionError):
        return None


def json_rationale(which: str, value: Any) -> str:
    """Return a rationale out of JSON.

    Raises:
        UnreadableReply: For what is no text that a file can hold.
    """
    if not isinstance(value, str) or isinstance(value, Number):
        refuse("rationale_not_text", f"the rationale of {which} is {value!r:.60}, not a text")
    if value.encode("utf-8", "replace").decode() != value:
        refuse("rationale_not_text", f"the rationale of {which} holds half a surrogate pair, which no file can")
    return value
