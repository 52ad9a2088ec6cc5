"""The truth of a row: one, or several of which any is accepted."""

import re
from typing import Any

import orjson

from kasasagi.tasks.judge.checkers.boxes import last_boxed

_HASHES = re.compile(r"^####\s*(\S.*)$", re.MULTILINE)


def truths_of(value: Any) -> list[str]:
    """Return the accepted truths as texts; a list, also one that is kept as JSON text, holds several."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        value = _list_of_texts(value)
    return [_text(one) for one in value] if isinstance(value, list | tuple) else [_text(value)]


def _list_of_texts(text: str) -> Any:
    """Return a JSON list of texts; anything else stays the text that it is, such as an interval."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    return found if isinstance(found, list) and found and all(isinstance(one, str) for one in found) else text


def _text(value: Any) -> str:
    """Return a truth as text; a number without decimals that it does not have."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return _last_of_solution(str(value)).strip()


def _last_of_solution(text: str) -> str:
    """Return the answer at the end of a written solution, as GSM8K (`#### 42`) and MATH (a box) have them; else the
    text.
    """
    if hashes := _HASHES.findall(text):
        return str(hashes[-1])
    return last_boxed(text) or text


def is_missing(value: Any) -> bool:
    """Return whether a row has no truth."""
    return value is None or (isinstance(value, str) and not value.strip()) or value in ([], {})
