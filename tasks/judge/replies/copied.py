"""Verdicts that a judge may have copied from the texts that it was shown; they are not its own."""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from kasasagi.tasks.judge.replies.claimed_verdicts import Claim, ClaimForm, plain_text
from kasasagi.tasks.judge.replies.lines import quote, refuse

_NO_WORDS = re.compile(r"[\W_]+")

Role = Literal["copy", "repeated_copy", "own"]
"""What a line is: a copy of a verdict, one behind the judge's own verdict, or that own verdict in other words."""


def roles_of_copies(
    lines: Sequence[str], asked: Iterable[int], form: ClaimForm, shown: frozenset[Claim]
) -> dict[int, Role]:
    """Return the roles of copied verdicts and of the judge's own one beside them, by their places.

    Args:
        lines: The lines that contain one verdict: of a section, or of the whole reply.
        asked: The places of the lines with a verdict in the requested form.
        form: How such a verdict is claimed.
        shown: The claims in what the judge was shown.

    Returns:
        The roles; empty if no verdict may be a copy.

    Raises:
        UnreadableReply: A verdict may be a copy, and no other one says the same.
    """
    found = {place: claim for place in asked if (claim := form.of_line(lines[place])) is not None}
    copied = [place for place, (claim, _) in found.items() if claim in shown]
    if not copied:
        return {}
    others = {place: form.of_line(raw) for place, raw in enumerate(lines) if place not in found}
    own = [(place, other[0]) for place, other in others.items() if other is not None and other[0] not in shown]
    values = {claim[1] for claim, _ in found.values()} | {claim[1] for _, claim in own}
    if len(own) != 1 or len(values) != 1 or len(copied) < len(found):
        refuse("copied_verdict", f"the line {quote(lines[copied[0]])} also stands in a text that was judged")
    place = own[0][0]
    return {place: "own", **{one: "copy" if one < place else "repeated_copy" for one in copied}}


def refuse_copied_json(body: str, entries: Iterable[tuple[Any, Any]], form: ClaimForm, texts: Sequence[str]) -> None:
    """Refuse a JSON value that may be a copy: it, or one of its verdicts with all its words, also stands in a text.

    Args:
        body: The JSON value as it was written.
        entries: The value and the rationale of each verdict in it.
        form: How such a verdict is claimed.
        texts: What the judge was shown.

    Raises:
        UnreadableReply: The value may be a quotation.
    """
    plain, values = [_bare(text) for text in texts], form.json_values(texts)
    whole = bool(_bare(body)) and any(_bare(body) in text for text in plain)
    if whole or any(_is_copied(entry, form, values, plain) for entry in entries):
        refuse("copied_verdict", "the JSON value also stands in a text that was judged")


def _is_copied(entry: tuple[Any, Any], form: ClaimForm, values: frozenset[str], plain: Sequence[str]) -> bool:
    """Return whether the texts claim a verdict, and its rationale has no words of its own."""
    value, rationale = entry
    if not isinstance(value, str) or form.json_values([json.dumps({form.asked: value})]).isdisjoint(values):
        return False
    words = _bare(rationale) if isinstance(rationale, str) else ""
    return not words or any(words in text for text in plain)


def _bare(text: str) -> str:
    """Return the letters and digits of a text alone."""
    return _NO_WORDS.sub("", plain_text(text))
