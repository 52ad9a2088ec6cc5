"""Whether an answer meets each constraint: yes, no, or not to be said for sure."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

import orjson

from kasasagi.tasks.judge.checkers.instructions.constraints import Bounds, Constraints
from kasasagi.tasks.judge.checkers.instructions.counts import COUNTS, Span
from kasasagi.tasks.judge.checkers.json_schema import has_key_twice
from kasasagi.tasks.judge.checkers.plain import without_markdown
from kasasagi.tasks.text.languages import KANA, language_of, seems_english

FEW = 4
SHORTEST_STEM = 3
_LATIN_WORD = re.compile(r"[A-Za-z]{2,}")
_INVISIBLE = re.compile(r"[\u200b-\u200f\u2060\ufeff]")
_CODE = re.compile(r"```.*?```|`[^`\n]*`|\S*(?:://|www\.)\S*", re.DOTALL)
_EDGES = " \t\n\r\"'“”‘’「」『』*_`"


@dataclass(frozen=True, slots=True)
class FormCheck:
    """What came of one constraint."""

    name: str
    holds: bool | None
    detail: str


def outcomes(constraints: Constraints, answer: str) -> Iterator[FormCheck]:
    """Yield the outcome of each constraint that is set."""
    text = answer.strip()
    for name, count in COUNTS.items():
        bounds: Bounds | None = getattr(constraints, name)
        if bounds is not None:
            found = count(text)
            yield FormCheck(name, _within(bounds, found), f"{_show(found)} {name}, {_asked(bounds)} asked for")
    if constraints.language:
        yield FormCheck("language", _is_in(text, constraints.language), f"it is not clearly in {constraints.language}")
    if constraints.case:
        yield FormCheck("case", _has_case(text, constraints.case), f"not all letters are in {constraints.case} case")
    for word in constraints.required:
        yield FormCheck("required", _holds_word(text, word), f"{word!r} is not there as such")
    for word in constraints.forbidden:
        there = _holds_word(text, word)
        yield FormCheck("forbidden", None if there is None else not there, f"{word!r} is there")
    if constraints.starts_with:
        yield FormCheck("starts_with", _begins(text, constraints.starts_with), f"begins otherwise: {text[:40]!r}")
    if constraints.ends_with:
        yield FormCheck("ends_with", _ends(text, constraints.ends_with), f"ends otherwise: {text[-40:]!r}")
    for form in constraints.formats:
        yield FormCheck(form, _FORMS[form](text), f"the response is not in the form {form}")


def _within(bounds: Bounds, found: Span) -> bool | None:
    """Return whether a count is within its bounds, whichever way of counting is meant; None where it
    depends on that.
    """
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


def _is_in(text: str, language: str) -> bool | None:
    """Return whether a text is in a language; None where it is short, or in two of them."""
    found, kana, words = language_of(text), len(KANA.findall(text)), len(_LATIN_WORD.findall(text))
    if found is None or (kana >= FEW and words >= FEW):
        return None
    if found == language and (not kana if language == "ja" else words < FEW and not seems_english(text)):
        return None
    return found == language


def _has_case(text: str, case: str) -> bool | None:
    """Return whether all letters are in a case; None where there are none, or the others are in code and links."""
    other = str.isupper if case == "lower" else str.islower
    if not any(sign.isupper() or sign.islower() for sign in text):
        return None
    if not any(map(other, text)):
        return True
    return False if any(map(other, _CODE.sub("", text.replace("ß", "")))) else None


def _tidied(text: str) -> str:
    """Return a text as words are looked for in it: one width and case, straight quotes, no emphasis, single blanks."""
    text = without_markdown(_INVISIBLE.sub("", unicodedata.normalize("NFKC", text)))
    return " ".join(text.replace("’", "'").replace("‘", "'").casefold().split())


def _holds_word(text: str, word: str) -> bool | None:
    """Return whether a word is there as a word; None where it is but a part of one, or another form or spelling is
    there.
    """
    there, wanted = _tidied(text), _tidied(word)
    if not wanted:
        return None
    if wanted not in there:
        return None if _is_there_otherwise(there, wanted) else False
    if not wanted.isascii():
        return True
    return True if re.search(rf"(?<![\w+#]){re.escape(wanted)}(?![\w+#])", there) else None


def _is_there_otherwise(there: str, wanted: str) -> bool:
    """Return whether a word seems to be there in another form: inflected, hyphenated, in the other kana."""
    if not wanted.isascii():
        return _folded(re.sub(r"(?<=[一-鿿])[ぁ-ん]+\Z", "", wanted)) in _folded(there)
    stem = re.sub(r"(?:e|y|es|s|ing|ed)\Z", "", wanted)
    joined = re.compile(r"[-*_\s]" if re.search(r"[-\s]", wanted) else r"[-*_]")
    return (len(stem) >= SHORTEST_STEM and stem in there) or joined.sub("", wanted) in joined.sub("", there)


def _folded(text: str) -> str:
    """Return a text in one kind of kana, without accents and blanks."""
    text = "".join(chr(ord(sign) - 0x60) if "ァ" <= sign <= "ヶ" else sign for sign in text if not sign.isspace())
    return "".join(sign for sign in unicodedata.normalize("NFD", text) if not "\u0300" <= sign <= "\u036f")


def _begins(text: str, wanted: str) -> bool | None:
    if text.startswith(wanted):
        return None if wanted[-1:].isalnum() and wanted.isascii() and text[len(wanted) :][:1].isalnum() else True
    there, begin = _tidied(text).lstrip(_EDGES + "#>-"), _tidied(wanted).strip(_EDGES)
    return None if there.startswith(begin) else False


def _ends(text: str, wanted: str) -> bool | None:
    if text.endswith(wanted):
        before = text[: -len(wanted)][-1:]
        return None if wanted[:1].isalnum() and wanted.isascii() and before.isalnum() else True
    edges = _EDGES + ".。!！?？"
    end = _tidied(wanted).strip(_EDGES)
    if end and not end.strip(edges):
        return _tidied(text).rstrip(_EDGES).endswith(end) or False
    return None if _tidied(text).rstrip(edges).endswith(end.rstrip(edges)) else False


def _is_json(text: str) -> bool | None:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None if "```" in text else False
    return True if isinstance(value, dict | list) and not has_key_twice(text) else None


def _is_quoted(text: str) -> bool | None:
    if len(text) > 2 and text[0] == text[-1] == '"':
        return None if '"' in text[1:-1].replace('\\"', "") else True
    return None if len(text) > 2 and text[0] in "“「『'" and text[-1] in "”」』'" else False


def _has_title(text: str) -> bool | None:
    if re.search(r"^[\s#*_]*<<[^<>\n]*\w[^<>\n]*>>[\s*_]*$", text, re.MULTILINE):
        return True
    return None if re.search(r"<<[^\n]*>>|«|《", text) else False


def _has_no_commas(text: str) -> bool | None:
    if re.search(r"[,，](?!\d)|(?<!\d)[,，]", text):
        return False
    return None if re.search(r"[,、‚﹐،]", text) else True


_FORMS = {"json": _is_json, "quoted": _is_quoted, "title": _has_title, "no_commas": _has_no_commas}
