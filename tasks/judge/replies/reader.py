"""The strict reader of a judge's reply: it reads what is unambiguous, refuses the rest, and never guesses.

Two forms are read: the sections that the judge prompt asks for, and JSON. Only a line of its own that begins with the
rating label carries a rating, so nothing inside a rationale's sentences can; a second such line in a section, a second
section of the same number or a look-alike ("Final rating: 2") is a refusal. So is a possible quotation: a line inside
the words of a rationale, behind `>`, in a block of code, or in the data that the judge was shown.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from kasasagi.tasks.judge.replies.claimed_verdicts import RATINGS
from kasasagi.tasks.judge.replies.copied import Role, refuse_copied_json, roles_of_copies
from kasasagi.tasks.judge.replies.json_values import json_rationale, split_json
from kasasagi.tasks.judge.replies.lines import (
    PLAIN,
    Quotes,
    UnreadableReply,
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
from kasasagi.tasks.judge.replies.rating_words import RatingScale
from kasasagi.tasks.judge.replies.remarks import before_rationale, check_remarks
from kasasagi.tasks.judge.replies.values import read_rating

__all__ = ["UnreadableReply", "Verdict", "read_ratings"]

_SECTION = re.compile(
    r"(?:(?:output for |rating for |evaluation of |assessment of )?(?:text|response)\s*([0-9]{1,6})"
    r"|文章\s*([0-9]{1,6})\s*(?:の評価)?)\s*:?\s*#*"
)
_RATING = re.compile(r"(?:rating|評点|評価)\s*:(.*)")
_RATING_LIKE = re.compile(
    r"(?:rating\b|評点)\s*(?:\([^)]*\))?\s*(?:[=–—-]|(?:is\s|of\s|は|が)?\s*[0-9])"
    r"|[^:=.]{0,40}\b(?:ratings?|scores?)\b[^:=.]{0,40}[:=].*[0-9]"
    r"|[^:=。、]{0,20}(?:評点|評価|点数|得点|スコア|採点)[^:=。、]{0,20}[:=].*[0-9]"
    r"|(?:\|\s*)?(?:text|文章)\s*[0-9]{1,6}\s*[:=|]\s*[0-9]+(?:\.[0-9]+)?\s*(?:点|(?:/|out of)\s*[0-9]+)?\s*[|.。]?"
    r"\s*\Z"
    r"|(?:overall|verdict|grade|stars?|総評|総合)\s*[:=]\s*[0-9](?:\.[0-9]+)?\s*(?:点|(?:/|out of)\s*[0-9]+)?\W*\Z"
    r"|[0-9](?:\.[0-9]+)?\s*(?:点|(?:/|out of)\s*(?:5|10|100))\W*\Z"
)
_RATING_WORDS = re.compile(r"\b(?:rat(?:e|ed|ings?)|scor(?:e|ed|es))\b|評点|評価|点数|得点|スコア|採点")
"""With a number, what a short line has that may be a verdict in other words."""
_SHORT = 40
_NUMBER_NAME = re.compile(r"(?:(?:output for )?text[ _]?|文章)?([0-9]{1,6})(?:の評価)?")

_NAMES = {name: name for name in ("text", "rating", "rationale")} | {
    "文章": "text",
    "評点": "rating",
    "理由": "rationale",
}
_WRAPPERS = ("ratings", "verdicts", "評価")

JSON_RATING = re.compile(r'"\s*(?:rating|評点)\s*"', re.IGNORECASE)
JSON_RATING_SET = re.compile(JSON_RATING.pattern + r"\s*[:：]", re.IGNORECASE)

Kind = Literal["section", "rating", "unclear", "text"]
_LABELS: dict[Kind, Literal["section", "verdict"]] = {"section": "section", "rating": "verdict"}


@dataclass(frozen=True, slots=True)
class _Line:
    kind: Kind
    raw: str
    value: str = ""


@dataclass(slots=True)
class _Section:
    ratings: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    inside: bool = False
    announced: bool = False


def read_ratings(
    reply: str,
    count: int,
    *,
    scale: int | RatingScale = 5,
    allow_halves: bool = False,
    texts: Sequence[str] = (),
) -> list[Verdict]:
    """Return the ratings of texts 1 to `count` in that order, whatever order the reply has them in.

    Ratings are whole numbers of the scale, or halves if allowed. Labels may be English or Japanese. For a single text
    the section line may be missing if exactly one line is a rating. Thinking must have been split off before. Time is
    linear in the reply's length.

    Args:
        reply: The judge's reply.
        count: The number of texts that it rates.
        scale: The scale, or the highest rating of one that begins at 1.
        allow_halves: Whether halves are ratings, if scale is a number.
        texts: All data that the judge was shown. A rating that also occurs there may be a quotation, and is refused
            unless the judge also says the same in other words.

    Raises:
        UnreadableReply: The reply is not clear.
    """
    asked = scale if isinstance(scale, RatingScale) else RatingScale(1, scale, allow_halves)
    return _verdicts(_found(reply_lines(reply), count, asked, texts), count, asked)


def read_json_ratings(
    value: Any, body: str, beside: Sequence[str], count: int, scale: RatingScale, texts: Sequence[str]
) -> list[Verdict]:
    """Return the ratings in a JSON value, or in a part of one; see `read_ratings`.

    Args:
        value: The value with its objects as pairs.
        body: The whole JSON value as it was written.
        beside: The lines beside it.
        count: The number of texts.
        scale: The scale.
        texts: All data that the judge was shown.
    """
    return _verdicts(_found_in_json(value, body, beside, count, scale, texts), count, scale)


def _verdicts(sections: dict[int, _Section], count: int, scale: RatingScale) -> list[Verdict]:
    _check_numbers(sections, count)
    return [_verdict(number, sections[number], scale) for number in range(1, count + 1)]


def _found(lines: Sequence[str], count: int, scale: RatingScale, texts: Sequence[str]) -> dict[int, _Section]:
    """Return the sections by number, from whichever of the two forms the reply has; it may not have both."""
    value, body, beside = split_json(lines, JSON_RATING, JSON_RATING_SET)
    if value is None:
        sections = _sections(_without_copies([classify(raw) for raw in lines], texts), count, scale)
        if body and not sections:
            refuse("not_json", "the reply looks like JSON but is none, or has no rating")
        return sections
    check_beside(beside)
    return _found_in_json(value, body, beside, count, scale, texts)


def _found_in_json(
    value: Any, body: str, beside: Sequence[str], count: int, scale: RatingScale, texts: Sequence[str]
) -> dict[int, _Section]:
    sections = _json_sections(value, count)
    check_remarks(beside, (["Rationale:", *one.words] for one in sections.values()), scale, reason="unclear_rating")
    entries = ((rating, section.words[0]) for section in sections.values() for rating in section.ratings)
    refuse_copied_json(body, entries, RATINGS, texts)
    return sections


def check_beside(lines: Sequence[str]) -> None:
    """Refuse ratings beside a JSON value."""
    if any(classify(raw).kind != "text" for raw in lines):
        refuse("two_forms", "the reply carries labelled lines and a JSON value, which may disagree")
    if any(JSON_RATING_SET.search(raw) for raw in lines):
        refuse("two_values", "the reply carries further ratings beside its JSON value, which may disagree")


def _without_copies(lines: list[_Line], texts: Sequence[str]) -> list[_Line]:
    """Return the lines without the ratings that may be copies, where the judge says the same in other words."""
    shown = RATINGS.claims(texts)
    starts = [place for place, line in enumerate(lines) if line.kind == "section"]
    kept: list[_Line] = []
    for start, stop in zip([0, *starts], [*starts, len(lines)], strict=True) if shown else ():
        block = lines[start:stop]
        asked = [place for place, line in enumerate(block) if line.kind == "rating"]
        roles = roles_of_copies([line.raw for line in block], asked, RATINGS, shown)
        kept += [one for place, line in enumerate(block) if (one := _in_role(line, roles.get(place))) is not None]
    return kept if shown else lines


def _in_role(line: _Line, role: Role | None) -> _Line | None:
    """Return a line as what it counts for beside a copied rating; None if for nothing."""
    if role == "own":
        claim = RATINGS.of_line(line.raw)
        return _Line("rating", line.raw, claim[1] if claim else "")
    return None if role == "repeated_copy" else _Line("text", line.raw) if role == "copy" else line


def classify(raw: str) -> _Line:
    """Return what a line is: a section's head, a clean rating label, something that resembles a rating, or text."""
    head = plain_head(raw)
    section = _SECTION.fullmatch(head)
    if section:
        return _Line("section", raw, section[1] or section[2])
    rating = _RATING.fullmatch(head)
    if rating:
        return _Line("rating", raw, raw if is_long(raw) else rating[1].strip())
    return _Line("unclear" if _RATING_LIKE.match(head) or _is_short_like(raw, head) else "text", raw)


def _is_short_like(raw: str, head: str) -> bool:
    """Return whether a line of few words has one for a rating, and a digit."""
    if len(head) > _SHORT or "{" in head or opens_rationale(raw):
        return False
    return _RATING_WORDS.search(head) is not None and any(character in "0123456789" for character in head)


def _sections(lines: Sequence[_Line], count: int, scale: RatingScale) -> dict[int, _Section]:
    """Return the sections by their own numbers, with the ratings and the words that stand in each."""
    sections: dict[int, _Section] = {}
    current = preamble = _Section()
    places: list[tuple[_Section, int]] = []
    quotes = Quotes()
    for line in lines:
        in_quotes = quotes.holds(line.raw, _LABELS.get(line.kind, "none"))
        if in_quotes and line.kind in _LABELS:
            refuse("quoted_rating", f"the line {quote(line.raw)} stands in a quotation or a block of code")
        if line.kind == "section":
            current = _open_section(sections, int(line.value))
        elif line.kind == "rating":
            if announces(current.words, by_colon=True):
                refuse("quoted_rating", f"the line {quote(line.raw)} is announced by the rationale, as a quotation is")
            current.announced = current.announced or announces(current.words)
            current.ratings.append(line.value)
            places.append((current, len(current.words)))
        elif line.kind == "unclear":
            refuse("unclear_rating", f"the line {quote(line.raw)} resembles a rating but is not in the asked form")
        else:
            current.words.append(line.raw)
    if count == 1 and not sections and preamble.ratings:
        sections = {1: preamble}
    elif preamble.ratings:
        refuse("stray_rating", f"the rating {quote(preamble.ratings[0])} stands outside of any section")
    apart = before_rationale(preamble.words) if preamble.ratings else preamble.words
    check_remarks(apart, (section.words for section in sections.values()), scale, reason="unclear_rating")
    for section, place in places:
        section.inside = section.inside or stands_inside(section.words[:place], section.words[place:])
    for section in sections.values():
        section.words = rationale_lines(section.words)
    return sections


def _open_section(sections: dict[int, _Section], number: int) -> _Section:
    if number in sections:
        refuse("repeated_section", f"text {number} is rated twice")
    sections[number] = _Section()
    return sections[number]


def _check_numbers(sections: dict[int, _Section], count: int) -> None:
    extra = [number for number in sections if not 1 <= number <= count]
    if extra:
        refuse("extra_section", f"text {extra[0]} is rated, but there are only texts 1 to {count}")
    missing = [number for number in range(1, count + 1) if number not in sections]
    if missing:
        refuse("missing_section", f"there is no section for text {missing[0]}")


def _verdict(number: int, section: _Section, scale: RatingScale) -> Verdict:
    if not section.ratings:
        refuse("missing_rating", f"the section of text {number} has no rating line")
    if len(section.ratings) > 1:
        refuse("repeated_rating", f"the section of text {number} has {len(section.ratings)} rating lines")
    rating = read_rating(number, section.ratings[0], scale)
    if section.inside:
        refuse("rating_inside_rationale", f"more words follow the rating of text {number}, so it may be a quotation")
    if section.announced:
        refuse("quoted_rating", f"the words before the rating of text {number} announce it, as a quotation")
    return Verdict(rating, "".join(section.words).strip())


def _json_sections(value: Any, count: int) -> dict[int, _Section]:
    sections: dict[int, _Section] = {}
    for number, pairs in json_entries(value, count):
        entry = _json_entry(number, pairs)
        section = _open_section(sections, number)
        section.ratings = [_json_rating(number, entry["rating"])] if "rating" in entry else []
        section.words = [json_rationale(f"text {number}", entry.get("rationale", ""))]
    return sections


def json_entries(value: Any, count: int) -> Iterator[tuple[int, Any]]:
    """Yield each entry with its text's number; an object has its numbers as keys, a list's entries name theirs."""
    if isinstance(value, tuple) and len(value) == 1 and value[0][0] in _WRAPPERS:
        value = value[0][1]
    if isinstance(value, list):
        for pairs in value:
            yield _json_number(dict(_json_entry(None, pairs)).get("text")), pairs
    elif isinstance(value, tuple) and count == 1 and any(_NAMES.get(name) == "rating" for name, _ in value):
        yield 1, value
    elif isinstance(value, tuple):
        for name, pairs in value:
            yield _json_number(name), pairs
    else:
        refuse("not_json", "the JSON value is neither an object nor a list of ratings")


def _json_number(name: Any) -> int:
    found = _NUMBER_NAME.fullmatch(name.translate(PLAIN).strip().lower()) if isinstance(name, str) else None
    if found is None:
        refuse("missing_section", f"a rating in the JSON is for {name!r:.60}, not for the number of a text")
    return int(found[1])


def _json_entry(number: int | None, pairs: Any) -> dict[str, Any]:
    """Return one entry by our names for its keys."""
    which = "an entry" if number is None else f"the entry of text {number}"
    if not isinstance(pairs, tuple):
        refuse("missing_rating", f"{which} is no JSON object with a rating and a rationale")
    entry: dict[str, Any] = {}
    for key, item in pairs:
        name = _NAMES.get(key.strip().lower())
        if name is None:
            refuse("unknown_key", f"{which} has the key {quote(key)}, whose meaning is not agreed")
        if name in entry:
            refuse(f"repeated_{'section' if name == 'text' else name}", f"{which} has {quote(key)} twice")
        entry[name] = item
    if number is not None and "text" in entry and _json_number(entry["text"]) != number:
        refuse("repeated_section", f"{which} says that it is for text {entry['text']!r:.60}")
    return entry


def _json_rating(number: int, value: Any) -> str:
    """Return a rating's words: a JSON number, or a string that reads like one; never true, null or a constant."""
    if not isinstance(value, str):
        refuse("rating_not_a_number", f"the rating of text {number} is {value!r:.60}, not one number in digits")
    return value.translate(PLAIN).strip().lower()
