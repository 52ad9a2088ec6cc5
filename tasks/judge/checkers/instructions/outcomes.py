"""Whether an answer meets each constraint: yes, no, or not to be said for sure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import orjson

from kasasagi.tasks.judge.checkers.instructions.constraints import Bounds, Constraints
from kasasagi.tasks.judge.checkers.instructions.counts import COUNTS, Span
from kasasagi.tasks.text.languages import language_of

_EDGES = " \t\n\r\"'“”‘’「」『』*_`"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one constraint."""

    name: str
    holds: bool | None
    detail: str


def outcomes(constraints: Constraints, answer: str) -> Iterator[Outcome]:
    """Yield the outcome of each constraint that is set."""
    text = answer.strip()
    for name, count in COUNTS.items():
        bounds: Bounds | None = getattr(constraints, name)
        if bounds is not None:
            found = count(text)
            yield Outcome(name, _within(bounds, found), f"{_show(found)} {name}, {_asked(bounds)} asked for")
    if constraints.language:
        found_language = language_of(text)
        holds = None if found_language is None else found_language == constraints.language
        yield Outcome("language", holds, f"{found_language} in place of {constraints.language}")
    if constraints.case:
        yield Outcome("case", _has_case(text, constraints.case), f"not all letters are in {constraints.case} case")
    for word in constraints.required:
        yield Outcome("required", _holds_word(text, word), f"{word!r} is not there as such")
    for word in constraints.forbidden:
        there = _holds_word(text, word)
        yield Outcome("forbidden", None if there is None else not there, f"{word!r} is there")
    if constraints.starts_with:
        yield Outcome("starts_with", _begins(text, constraints.starts_with), f"begins otherwise: {text[:40]!r}")
    if constraints.ends_with:
        yield Outcome("ends_with", _ends(text, constraints.ends_with), f"ends otherwise: {text[-40:]!r}")
    for form in constraints.formats:
        yield Outcome(form, _FORMS[form](text), f"the response is not in the form {form}")


def _within(bounds: Bounds, found: Span) -> bool | None:
    """Whether a count is within its bounds, whichever way of counting is meant; None where it depends on that."""
    inside = [_is_inside(bounds, count) for count in found]
    if all(inside):
        return True
    least, most = bounds.at_least or 0, bounds.at_most
    return False if found[1] < least or (most is not None and found[0] > most) else None


def _is_inside(bounds: Bounds, count: int) -> bool:
    return count >= (bounds.at_least or 0) and (bounds.at_most is None or count <= bounds.at_most)


def _show(found: Span) -> str:
    return str(found[0]) if found[0] == found[1] else f"{found[0]} to {found[1]}"


def _asked(bounds: Bounds) -> str:
    if bounds.at_least == bounds.at_most:
        return f"exactly {bounds.at_least}"
    parts = [("at least", bounds.at_least), ("at most", bounds.at_most)]
    return " and ".join(f"{word} {count}" for word, count in parts if count is not None)


def _has_case(text: str, case: str) -> bool:
    other = str.isupper if case == "lower" else str.islower
    return any(sign.isalpha() for sign in text) and not any(map(other, text))


def _holds_word(text: str, word: str) -> bool | None:
    """Whether a word is there as a word; None where it is but a part of one."""
    there, wanted = text.casefold(), word.casefold().strip()
    if wanted not in there:
        return False
    if not wanted.isascii():
        return True
    return True if re.search(rf"(?<![a-z0-9]){re.escape(wanted)}(?![a-z0-9])", there) else None


def _begins(text: str, wanted: str) -> bool | None:
    if text.startswith(wanted):
        return True
    return None if text.lstrip(_EDGES + "#>-").casefold().startswith(wanted.strip(_EDGES).casefold()) else False


def _ends(text: str, wanted: str) -> bool | None:
    if text.endswith(wanted):
        return True
    edges = _EDGES + ".。!！?？"
    return None if text.rstrip(edges).casefold().endswith(wanted.strip(edges).casefold()) else False


def _is_json(text: str) -> bool | None:
    try:
        return isinstance(orjson.loads(text), dict | list)
    except orjson.JSONDecodeError:
        return None if "```" in text else False


def _is_quoted(text: str) -> bool | None:
    if len(text) > 2 and text[0] == text[-1] == '"':
        return True
    return None if len(text) > 2 and text[0] in "“「『'" and text[-1] in "”」』'" else False


def _has_title(text: str) -> bool:
    return bool(re.search(r"<<[^<>\n]+>>", text))


def _has_no_commas(text: str) -> bool | None:
    if re.search(r"[,，、](?!\d)|(?<!\d)[,，、]", text):
        return False
    return None if "," in text else True


_FORMS = {"json": _is_json, "quoted": _is_quoted, "title": _has_title, "no_commas": _has_no_commas}
