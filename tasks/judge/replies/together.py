"""Replies that rate several aspects: taken apart by aspect, each part then read as strictly as a reply about one."""

import re
from collections.abc import Mapping, Sequence
from itertools import accumulate, chain
from typing import Any

from kasasagi.tasks.judge.replies.json_values import split_json
from kasasagi.tasks.judge.replies.lines import (
    Quotes,
    UnreadableReply,
    Verdict,
    plain_head,
    quote,
    refuse,
    reply_lines,
)
from kasasagi.tasks.judge.replies.places import Span, json_places, rating_places
from kasasagi.tasks.judge.replies.rating_words import RatingScale
from kasasagi.tasks.judge.replies.reader import (
    JSON_RATING,
    JSON_RATING_SET,
    check_beside,
    classify,
    json_entries,
    read_json_ratings,
    read_ratings,
)
from kasasagi.tasks.judge.replies.remarks import check_remarks

Aspects = Mapping[str, tuple[RatingScale, Sequence[str]]]
"""What was asked for: each aspect with its scale, and the names that it has in the prompts."""
_HEADING = re.compile(r"(?:aspect|観点)\s*:\s*(.*?)\s*#*")
_BLANKS = re.compile(r"[\s_-]+")


def read_together(reply: str, count: int, aspects: Aspects, *, texts: Sequence[str] = ()) -> list[Verdict]:
    """Return the ratings of texts 1 to `count` under each aspect, the first aspect's first.

    Each aspect has one heading of its own, such as `### Aspect: honesty`, and below it all that a reply about that
    aspect alone would have; or all is one JSON object with the aspects as its keys.

    Args:
        reply: The judge's reply.
        count: The number of texts that it rates.
        aspects: The aspects that were asked for.
        texts: All data that the judge was shown.

    Raises:
        UnreadableReply: The reply is not clear, or lacks an aspect of a text, or has one twice.
    """
    lines = reply_lines(reply)
    value, body, beside = split_json(lines, JSON_RATING, JSON_RATING_SET)
    if value is not None:
        return _read_json(value, body, beside, count, aspects, texts)
    parts = _parts(lines, aspects)
    found = (_read_part("".join(parts[name][1]), count, name, aspects[name][0], texts) for name in aspects)
    return list(chain.from_iterable(found))


def together_places(aspects: Aspects, reply: str, ratings: Sequence[float], texts: Sequence[str]) -> list[Span | None]:
    """Return the place of each rating of a reply that was read; see `rating_places`."""
    lines, count = reply_lines(reply), len(ratings) // len(aspects)
    value, body, _ = split_json(lines, JSON_RATING, JSON_RATING_SET)
    if value is not None:
        keys = [(_name_of(key, aspects), number) for key, some in value for number, _ in json_entries(some, count)]
        wanted = [(name, number) for name in aspects for number in range(1, count + 1)]
        return json_places(reply, body, keys, wanted, ratings)
    parts = _parts(lines, aspects)
    found: list[Span | None] = []
    for place, name in enumerate(aspects):
        start, part = parts[name]
        own = rating_places("".join(part), ratings[place * count : (place + 1) * count], texts)
        found += [span and (start + span[0], start + span[1]) for span in own]
    return found


def _parts(lines: Sequence[str], aspects: Aspects) -> dict[str, tuple[int, Sequence[str]]]:
    """Return the lines below each aspect's heading, and where in the reply they begin."""
    headings = _headings(lines, aspects)
    _check_preamble(lines[: headings[0][0]] if headings else lines)
    missing = [name for name in aspects if name not in {name for _, name in headings}]
    if missing:
        refuse("missing_aspect", f"there is no heading for {missing[0]}")
    starts = list(accumulate(map(len, lines), initial=0))
    stops = [place for place, _ in headings[1:]] + [len(lines)]
    return {
        name: (starts[place + 1], lines[place + 1 : stop]) for (place, name), stop in zip(headings, stops, strict=True)
    }


def _headings(lines: Sequence[str], aspects: Aspects) -> list[tuple[int, str]]:
    """Return the places of the headings with their aspects.

    One that is copied from a judged text stands there twice, or leaves the part above it without a rating: the reply is
    refused.

    Raises:
        UnreadableReply: A heading may be a quotation, stands twice, or names no aspect that was asked for.
    """
    found: list[tuple[int, str]] = []
    quotes = Quotes()
    for place, raw in enumerate(lines):
        name = _heading(raw, aspects)
        in_quotes = quotes.holds(raw, "none" if name is None else "section")
        if name is None:
            continue
        if in_quotes:
            refuse("quoted_aspect", f"the line {quote(raw)} stands in a quotation or a block of code")
        if name in (other for _, other in found):
            refuse("repeated_aspect", f"{name} has two headings")
        found.append((place, name))
    return found


def _heading(raw: str, aspects: Aspects) -> str | None:
    """Return the aspect that a line is the heading of, None for another line."""
    head = plain_head(raw)
    labelled = _HEADING.fullmatch(head)
    if labelled is None:
        return _find(head.rstrip("# :"), aspects) if raw.lstrip().startswith("#") else None
    return _name_of(labelled[1], aspects)


def _name_of(words: str, aspects: Aspects) -> str:
    """Return the aspect that some words name. Raises for words that name none."""
    name = _find(words, aspects)
    if name is None:
        refuse("unknown_aspect", f"{quote(words)} is none of the aspects that were asked for")
    return name


def _find(words: str, aspects: Aspects) -> str | None:
    plain = _plain(words)
    return next((name for name, (_, names) in aspects.items() if plain in map(_plain, (name, *names))), None)


def _plain(words: str) -> str:
    return _BLANKS.sub(" ", words).strip().casefold()


def _check_preamble(lines: Sequence[str]) -> None:
    """Refuse verdicts above all headings, and remarks that may change those below."""
    stray = [raw for raw in lines if classify(raw).kind != "text"]
    if stray:
        refuse("stray_rating", f"the line {quote(stray[0])} stands above the first heading of an aspect")
    check_remarks(lines, (), RatingScale(1, 5), reason="unclear_rating")


def _read_part(reply: str, count: int, name: str, scale: RatingScale, texts: Sequence[str]) -> list[Verdict]:
    try:
        return read_ratings(reply, count, scale=scale, texts=texts)
    except UnreadableReply as error:
        raise UnreadableReply(error.reason, f"under {name}: {error.detail}") from error


def _read_json(
    value: Any, body: str, beside: Sequence[str], count: int, aspects: Aspects, texts: Sequence[str]
) -> list[Verdict]:
    """Return the ratings of a JSON object with the aspects as its keys."""
    check_beside(beside)
    if not isinstance(value, tuple):
        refuse("not_json", "the JSON value is no object with the aspects as its keys")
    found: dict[str, list[Verdict]] = {}
    for key, some in value:
        name = _name_of(key, aspects)
        if name in found:
            refuse("repeated_aspect", f"{name} stands twice in the JSON object")
        found[name] = read_json_ratings(some, body, beside, count, aspects[name][0], texts)
    missing = [name for name in aspects if name not in found]
    if missing:
        refuse("missing_aspect", f"the JSON object has no key {missing[0]}")
    return list(chain.from_iterable(found[name] for name in aspects))
