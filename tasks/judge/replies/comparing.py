"""The strict reader of a comparison: which of two texts is better, or neither; never a guess.

One line of its own that begins with the label carries the verdict, or one JSON object does. A second such line, a
look-alike ("The winner: Text 2"), both forms at once, or a line that may be a quotation are a refusal.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from kasasagi.tasks.judge.replies.claimed_verdicts import COMPARISONS
from kasasagi.tasks.judge.replies.copied import Role, refuse_copied_json, roles_of_copies
from kasasagi.tasks.judge.replies.json_values import json_rationale, split_json
from kasasagi.tasks.judge.replies.lines import (
    PLAIN,
    Quotes,
    Verdict,
    announces,
    is_long,
    opens_rationale,
    plain_head,
    quote,
    rationale_lines,
    refuse,
    reply_lines,
    stands_inside,
)
from kasasagi.tasks.judge.replies.remarks import before_rationale, check_remarks

FIRST, SECOND, TIE = (1.0, 0.0), (0.0, 1.0), (0.5, 0.5)
_BETTER = re.compile(r"(?:better(?: text)?|優れている(?:方|ほう))\s*:(.*)")
_BETTER_LIKE = re.compile(
    r"(?:better|優れている(?:方|ほう))\s*(?:\([^)]*\))?\s*(?:[=–—-]|(?:is|は)\s*(?:text|文章)?\s*[0-9])"
    r"|[^:=.]{0,40}\b(?:better|best|winner|winning|preferred|preference|verdict)\b[^:=.]{0,40}[:=].*(?:[0-9]|\btie\b)"
    r"|[^:=。、]{0,20}(?:優れ|勝者|勝ち|判定|良い)[^:=。、]{0,20}[:=].*(?:[0-9]|同等|引き分け)"
)
_BETTER_WORDS = re.compile(r"\b(?:better|worse|best|worst|winner|wins|prefer\w*)\b|優れ|劣|勝者|勝ち|判定")
"""With a number, what a short line has that may be a verdict in other words."""
_SHORT = 40
_VALUE = re.compile(r"(?:(?:text|文章)\s*)?([12])\s*[.。]?")
_TIE = re.compile(r"(?:a )?tie\s*[.。]?|同等\s*[.。]?|引き分け\s*[.。]?")
_JSON_BETTER = re.compile(r'"\s*(?:better|優れている(?:方|ほう))\s*"', re.IGNORECASE)
_JSON_BETTER_SET = re.compile(_JSON_BETTER.pattern + r"\s*[:：]", re.IGNORECASE)
_NAMES = {
    "better": "better",
    "優れている方": "better",
    "優れているほう": "better",
    "rationale": "rationale",
    "理由": "rationale",
}


def read_comparison(reply: str, texts: Sequence[str] = ()) -> list[Verdict]:
    """Return the verdicts on text 1 and text 2: 1 for the better one and 0 for the other, or 0.5 for each.

    Both have the same rationale. Labels may be English or Japanese.

    Args:
        reply: The judge's reply.
        texts: All data that the judge was shown. A verdict that also occurs there may be a quotation, and is refused
            unless the judge also says the same in other words.

    Raises:
        UnreadableReply: The reply is not clear.
    """
    lines = reply_lines(reply)
    value, body, beside = split_json(lines, _JSON_BETTER, _JSON_BETTER_SET)
    if value is None:
        return _from_lines(lines, texts)
    _check_beside(beside)
    entry = _json_entry(value)
    refuse_copied_json(body, [(entry.get("better"), entry.get("rationale"))], COMPARISONS, texts)
    return _from_json(entry)


def _check_beside(lines: Sequence[str]) -> None:
    """Refuse verdicts beside a JSON value, and remarks that may change its verdict."""
    if any(_label(raw) is not None for raw in lines):
        refuse("two_forms", "the reply carries a labelled line and a JSON value, which may disagree")
    if any(_JSON_BETTER_SET.search(raw) for raw in lines):
        refuse("two_values", "the reply carries a further verdict beside its JSON value, which may disagree")
    check_remarks(lines, (), None, reason="unclear_verdict")


def _label(raw: str) -> str | None:
    """Return what stands behind the label of a line, None for a line that has none. Raises for a look-alike."""
    head = plain_head(raw)
    if (found := _BETTER.fullmatch(head)) is not None:
        return raw if is_long(raw) else found[1].strip()
    if _BETTER_LIKE.match(head) or _is_short_like(raw, head):
        refuse("unclear_verdict", f"the line {quote(raw)} resembles a verdict but is not in the asked form")
    return None


def _is_short_like(raw: str, head: str) -> bool:
    """Return whether a line of few words has one for a verdict, and names a text by its number."""
    if len(head) > _SHORT or "{" in head or opens_rationale(raw):
        return False
    return _BETTER_WORDS.search(head) is not None and any(character in "12" for character in head)


def _from_lines(lines: Sequence[str], texts: Sequence[str]) -> list[Verdict]:
    asked = [place for place, raw in enumerate(lines) if _BETTER.fullmatch(plain_head(raw))]
    roles = roles_of_copies(lines, asked, COMPARISONS, COMPARISONS.claims(texts))
    labelled = [
        (raw, _label_in_role(raw, roles.get(place)))
        for place, raw in enumerate(lines)
        if roles.get(place) != "repeated_copy"
    ]
    found = [value for _, value in labelled if value is not None]
    if not found:
        refuse("missing_verdict", "no line says which text is better")
    if len(found) > 1:
        refuse("repeated_verdict", f"{len(found)} lines say which text is better")
    beside = [raw for raw, value in labelled if value is None]
    check_remarks(before_rationale(beside), [beside], None, reason="unclear_verdict")
    words = rationale_lines(beside)
    verdicts = _verdicts(found[0], "".join(words).strip())
    _check_quotation(labelled)
    return verdicts


def _label_in_role(raw: str, role: Role | None) -> str | None:
    """Return what stands behind the label of a line, as what it counts for beside a copied verdict."""
    if role == "own":
        claim = COMPARISONS.of_line(raw)
        return claim[1] if claim else None
    return None if role == "copy" else _label(raw)


def _check_quotation(labelled: Sequence[tuple[str, str | None]]) -> None:
    """Refuse a verdict that may be quoted: in quotation marks, or inside the rationale."""
    quotes = Quotes()
    for place, (raw, value) in enumerate(labelled):
        in_quotes = quotes.holds(raw, "none" if value is None else "verdict")
        if value is None:
            continue
        before, after = ([one for one, _ in some] for some in (labelled[:place], labelled[place + 1 :]))
        if in_quotes or announces(before) or stands_inside(before, after):
            refuse("quoted_verdict", f"the line {quote(raw)} stands in a quotation, or inside the rationale")


def _json_entry(value: Any) -> dict[str, Any]:
    """Return the JSON object by our names for its keys."""
    if not isinstance(value, tuple):
        refuse("not_json", "the JSON value is no object that says which text is better")
    entry: dict[str, Any] = {}
    for key, item in value:
        name = _NAMES.get(key.strip().lower())
        if name is None:
            refuse("unknown_key", f"the JSON object has the key {quote(key)}, whose meaning is not agreed")
        if name in entry:
            refuse("repeated_verdict", f"the JSON object has {quote(key)} twice")
        entry[name] = item
    return entry


def _from_json(entry: Mapping[str, Any]) -> list[Verdict]:
    better = entry.get("better")
    if not isinstance(better, str):
        refuse("unclear_verdict", f"better is {better!r:.60}, neither a text's number nor tie")
    rationale = json_rationale("the comparison", entry.get("rationale", ""))
    return _verdicts(better.translate(PLAIN).strip().lower(), rationale)


def _verdicts(words: str, rationale: str) -> list[Verdict]:
    number = _VALUE.fullmatch(words)
    if number is not None:
        ratings = FIRST if number[1] == "1" else SECOND
    elif _TIE.fullmatch(words):
        ratings = TIE
    else:
        refuse("unclear_verdict", f"the better text is {quote(words)}, not Text 1, Text 2 or tie")
    return [Verdict(rating, rationale) for rating in ratings]
