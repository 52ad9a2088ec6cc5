"""Reads tags strictly: every kind once, each with one label of its set, and nothing else."""

import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from kasasagi.tasks.parsing import UnreadableError
from kasasagi.tasks.tags.labels import LABELS, Kind

_FENCE = re.compile(r"\s*```[a-zA-Z]*\s*")
_LINE = re.compile(r"[\s\-*•]*([A-Za-z]+)[\s*]*[:=][\s*]*(.*?)[\s*]*")
_SHOWN = 60


def read_tags(reply: str, kinds: Sequence[Kind]) -> dict[Kind, str]:
    """Return the label of each kind from a reply of lines `kind: label`, or of one JSON object.

    Raises:
        UnreadableError: A kind is missing, occurs twice or has a label outside its set, or a line has another form.
    """
    found: dict[Kind, str] = {}
    for name, value in _entries(reply):
        kind = next((kind for kind in kinds if kind == name.strip().casefold()), None)
        if kind is None:
            raise UnreadableError("unknown_tag", f"{_quote(name)} is none of {', '.join(kinds)}")
        if kind in found:
            raise UnreadableError("repeated_tag", f"{kind} stands there twice")
        found[kind] = _label(kind, value)
    missing = next((kind for kind in kinds if kind not in found), None)
    if missing is not None:
        raise UnreadableError("missing_tag", f"there is no label for {missing}")
    return found


def _entries(reply: str) -> Iterator[tuple[str, Any]]:
    lines = [line for line in _plain(reply).splitlines() if line.strip() and not _FENCE.fullmatch(line)]
    if lines and lines[0].lstrip().startswith("{"):
        yield from _members("\n".join(lines))
        return
    for line in lines:
        found = _LINE.fullmatch(line)
        if found is None:
            raise UnreadableError("unknown_line", f"the line {_quote(line.strip())} is not of the form that was asked")
        yield found[1], found[2]


def _members(text: str) -> list[tuple[str, Any]]:
    try:
        value = json.loads(text, object_pairs_hook=tuple)
    except (ValueError, RecursionError) as error:
        raise UnreadableError("not_json", "the reply begins as JSON and is none") from error
    if not isinstance(value, tuple):
        raise UnreadableError("not_json", "the reply is no JSON object of kinds and labels")
    return list(value)


def _label(kind: Kind, value: Any) -> str:
    words = " ".join(_plain(value).split()).strip("\"'`.").casefold() if isinstance(value, str) else ""
    label = _known(kind).get(words.replace(" and ", " & "))
    if label is None:
        raise UnreadableError("unknown_label", f"{_quote(value)} is no label of {kind}")
    return label


@cache
def _known(kind: Kind) -> dict[str, str]:
    return {label.casefold(): label for label in LABELS[kind]}


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text)


def _quote(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
