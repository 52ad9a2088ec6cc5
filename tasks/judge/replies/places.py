"""Where in a judge's reply the number of each rating stands, for replies that the strict reader has read."""

import re
from collections.abc import Hashable, Mapping, Sequence
from itertools import accumulate

from kasasagi.tasks.judge.replies.claimed_verdicts import RATINGS
from kasasagi.tasks.judge.replies.json_values import split_json
from kasasagi.tasks.judge.replies.lines import PLAIN, UnreadableReply, reply_lines
from kasasagi.tasks.judge.replies.reader import JSON_RATING, JSON_RATING_SET, classify, json_entries

Span = tuple[int, int]
Key = Hashable
_DIGITS = re.compile(r"[0-9０-９]+")
_JSON_VALUE = re.compile(r"\s*\"?[0-9０-９]+")
_LABEL = re.compile(r"[:：]")
_OUT_OF = re.compile(r"\s*(?:点|points?|stars?)?\s*(?:[/／]|out of)\s*", re.IGNORECASE)


def rating_places(reply: str, ratings: Sequence[float], texts: Sequence[str]) -> list[Span | None]:
    """Return the place of each text's rating in a reply: the first and the last character, the latter exclusive.

    Args:
        reply: The reply, as the strict reader read it.
        ratings: What the strict reader has read, for each of the texts that were rated.
        texts: All data that the judge was shown.

    Returns:
        None for a text whose rating does not stand at exactly one place, or at one that may be a quotation.
    """
    lines, count = reply_lines(reply), len(ratings)
    try:
        value, body, _ = split_json(lines, JSON_RATING, JSON_RATING_SET)
    except UnreadableReply:
        return [None] * count
    if value is not None:
        keys = [number for number, _ in json_entries(value, count)]
        return json_places(reply, body, keys, range(1, count + 1), ratings)
    found = _in_lines(lines, count, texts)
    return [_number_in(reply, found.get(number, ()), rating) for number, rating in enumerate(ratings, start=1)]


def _in_lines(lines: Sequence[str], count: int, texts: Sequence[str]) -> Mapping[int, list[Span]]:
    """Return the places of the rating lines behind their labels, by the numbers of their sections."""
    starts, shown = accumulate(map(len, lines), initial=0), RATINGS.claims(texts)
    sections: dict[int, list[Span]] = {}
    number = 1 if count == 1 else 0
    for start, raw in zip(starts, lines, strict=False):
        line = classify(raw)
        if line.kind == "section":
            number = int(line.value)
        elif line.kind == "rating" and (label := _LABEL.search(raw)):
            claim = RATINGS.of_line(raw)
            place = start + (len(raw) if claim and claim[0] in shown else label.end())
            sections.setdefault(number, []).append((place, start + len(raw)))
    return sections


def json_places(
    reply: str, body: str, keys: Sequence[Key], wanted: Sequence[Key], ratings: Sequence[float]
) -> list[Span | None]:
    """Return the places of ratings in a JSON value.

    Args:
        reply: The reply.
        body: The JSON value as it stands in the reply.
        keys: What each rating of the value is for, in the value's order.
        wanted: What the ratings are wanted for.
        ratings: These ratings, as they were read.
    """
    start = reply.find(body)
    ends = [found.end() + start for found in JSON_RATING_SET.finditer(body)]
    if len(ends) != len(keys) or reply.count(body) != 1:
        return [None] * len(wanted)
    values = (_JSON_VALUE.match(reply, end) for end in ends)
    found = {key: [value.span()] for key, value in zip(keys, values, strict=True) if value}
    return [_number_in(reply, found.get(key, ()), rating) for key, rating in zip(wanted, ratings, strict=True)]


def _number_in(reply: str, places: Sequence[Span], rating: float) -> Span | None:
    """Return the place of a rating behind its label, if there is one label and no doubt which number it is."""
    if len(places) != 1:
        return None
    start, stop = places[0]
    found = list(_DIGITS.finditer(reply, start, stop))
    if not found:
        return None
    of_scale = len(found) > 1 and not _OUT_OF.fullmatch(reply[found[0].end() : found[1].start()])
    first = found[0]
    if of_scale or reply[start : first.start()].strip(" \t\u3000\"'*_`") or float(first[0].translate(PLAIN)) != rating:
        return None
    return first.span()
