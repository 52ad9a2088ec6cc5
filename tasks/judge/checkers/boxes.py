r"""Boxes (`\boxed{…}`) and what touches them: `-\boxed{12}`, `\boxed{12}\pi` and `\boxed{12}` million do not say 12."""

import re
from dataclasses import dataclass

from kasasagi.tasks.judge.checkers.numbers.beside import CHANGES, JAPANESE_CHANGES, SCALES
from kasasagi.tasks.judge.checkers.numbers.units import UNITS, unit_of
from kasasagi.tasks.judge.checkers.plain import braced, without_latex

MOST_BOXES = 20
"""The last so many are read."""
WINDOW = 60
_BOX = re.compile(r"\\(?:boxed|fbox)\s*(?=\{)")
_BARE_BOX = re.compile(r"\\boxed\s+(\S+)")
_SEVERAL = re.compile(r"\b(?:or|either)\b|\\lor\b|\\vee\b|\\\\|または|もしくは|あるいは|それとも")
_MATRIX = re.compile(r"\\begin\s*\{([pbvBV]?matrix)\}.*?\\end\s*\{\1\}", re.DOTALL)
"""Its rows are no several answers."""
_BLANKS_BEFORE = re.compile(
    r"(?:\\[,;:!()\[\]$ ]|[€£¥]|\\q?quad|\\displaystyle|\\\(|\\begin\{\w+\*?\}|&(?=\s*\Z)|[$*_~\s\"'「『])+\Z"
)
_FITS_BEFORE = re.compile(
    r"(?:\A|[^\W\d_]|[:.,;!?。、：，！？—]|=>|->|[=→⇒∴≈」』]|(?<=\s)\)"
    r"|\\(?:therefore|[Rr]ightarrow|[Ll]ongrightarrow|implies|to|approx)"
    r"|\\(?:text|textbf|mathbf|mathrm|textit)\s*\{[^{}]*[^{}\d\s+*/-]\s*\}|^\s*-{3,})\Z",
    re.MULTILINE,
)
_NEW_FORMULA = re.compile(r"\n[ \t]*\n|(?:\$|\\[\])])[ \t]*\n")
"""Between a formula that has ended and the one with the box."""
_GLUED_BEFORE = re.compile(r"(?<![A-Za-z'’])(?![AaI])[A-Za-z]\Z|\d\.\Z|\d\s*[,、;]\s*\Z|\\[A-Za-z]+\Z")
_NEGATIVE = re.compile(r"\b(?:minus|negative)\Z|マイナス\Z", re.IGNORECASE)
_SMALL_WORDS = re.compile(r"(?:\s+(?:of|the|an?|about|to|exactly|only))+\s*\Z", re.IGNORECASE)
_ANOTHER_NAME = re.compile(r"=[^=\n]{1,40}(?:\band\b|[,;、&])\s*\\?[A-Za-z]\w*\s*=\s*\Z")
_BLANKS_BEHIND = re.compile(r"(?:\\[)\]]|\\\\|[$*_~)」』\"'}\s])+")
_CHANGED_BEHIND = re.compile(
    r"(?:st|nd|rd|th)(?![A-Za-z])|[-–](?!\s+[^\W\d_]{2})|[+×÷·*/^_=<>≤≥≠≈±|{}\[√π∞!²³](?!\s*\Z)|\((?:\s*[\d\\]|\S*[-+*/^=])"
    r"|[.:,;、]\d|[,;、:&/]?\s*(?:\b(?:and|or)\b|と|や|か|&)?\s*\d|(?:[,;、&/]|\b(?:and|or)\b)\s*\(?[A-J](?![A-Za-z'’])"
    r"|[,;、&]?\s*(?:and\b|と)?\s*(?:\\?[A-Za-z]\w*\s){0,2}\\?[A-Za-z]\w*\s*="
    r"|\\(?!(?:end|square|blacksquare|checkmark|tag|qed|newline|par|because|therefore|implies|Rightarrow)(?![A-Za-z]))"
)
_NEXT_LINE = re.compile(r"\s*\n\s*[+×÷·/^*]\s*\d")
_SIGN = re.compile(r"[%°]\s?[CF]?")
_WORDS = re.compile(r"(?P<first>[A-Za-z]+[²³]?(?:/[A-Za-z]+)?)(?P<more>(?:\s+[A-Za-z]+){0,2})")
_UNIT_SIGNS = re.compile(
    "|".join(sorted((re.escape(one) for one in UNITS if not one.isascii()), key=len, reverse=True))
)
_NUMBER = re.compile(r"[-+]?[\d.,/\s]*\d|[-+]?\\[dt]?frac\s*\{\d+\}\s*\{\d+\}")


@dataclass(frozen=True, slots=True)
class Box:
    """A box in a text.

    Attributes:
        start: Where its command begins.
        end: Where what belongs to it ends, its unit included.
        text: What it says, with the unit or the percent sign behind it.
        problem: Why what it says cannot be trusted, if so.
    """

    start: int
    end: int
    text: str
    problem: str = ""


def boxes_in(text: str) -> list[Box]:
    """Return the boxes of a text that hold something, in their order."""
    found = [(one.start(), one.end(), braced(text, one.end())) for one in [*_BOX.finditer(text)][-MOST_BOXES:]]
    full = [(start, end + len(inner) + 2, inner.strip()) for start, end, inner in found if inner is not None]
    bare = [(one.start(), one.end(), one[1].strip("$.")) for one in [*_BARE_BOX.finditer(text)][-1:] if not full]
    return [_box(text, *one) for one in full or bare if one[2]]


def last_boxed(text: str) -> str | None:
    """Return what stands in the last box of a text, None where there is none."""
    boxes = [inner for one in _BOX.finditer(text) if (inner := braced(text, one.end())) is not None]
    return boxes[-1] if boxes else None


def _box(text: str, start: int, end: int, inner: str) -> Box:
    if _SEVERAL.search(_MATRIX.sub(" ", inner)):
        return Box(start, end, inner, f"the box may hold several answers: {inner[:60]}")
    beside = _changed_before(text[max(0, start - WINDOW) : start]) or _changed_behind(text[end : end + WINDOW])
    if beside:
        return Box(start, end, inner, f"{beside.strip()[:20]!r} beside the box may change what is in it")
    unit, length = _unit_behind(text[end : end + WINDOW]) if _NUMBER.fullmatch(inner) else ("", 0)
    return Box(start, end + length, inner + unit)


def _changed_before(lead: str) -> str | None:
    """Return what before a box may change what is in it, None where nothing does."""
    blank = _BLANKS_BEFORE.search(lead)
    bare = lead[: blank.start()] if blank else lead
    is_glued = _GLUED_BEFORE.search(bare) and not (blank and "\n" in blank[0])
    word = re.split(r"[,.:;、。\n$]", _SMALL_WORDS.sub("", without_latex(bare)))[-1].split()[-1:]
    if blank and _NEW_FORMULA.search(blank[0]) and re.search(r"[\d})\]]\Z", bare):
        return None
    if not _FITS_BEFORE.search(bare) or _ANOTHER_NAME.search(bare):
        return bare[-10:] or lead
    if is_glued and not re.search(r"\\(?:therefore|\w*arrow|implies|to|approx)\Z|\A\s*\d\.\Z|\n\s*\d\.\Z", bare):
        return bare[-10:]
    return next((one for one in word if CHANGES.search(one) or _NEGATIVE.search(one)), None)


def _changed_behind(tail: str) -> str | None:
    """Return what behind a box may change what is in it, None where nothing does."""
    if _NEXT_LINE.match(tail):
        return tail
    text = _plain_behind(tail)
    if _CHANGED_BEHIND.match(text) or JAPANESE_CHANGES.match(text):
        return text
    words = _WORDS.match(text)
    return words[0] if words and not SCALES.match(text) and CHANGES.search(words["first"]) else None


def _plain_behind(tail: str) -> str:
    """Return the rest of a line behind a box, without LaTeX and what closes the formula around the box."""
    blanks = _BLANKS_BEHIND.match(tail)
    if blanks and "\n" in blanks[0]:
        return ""
    line = tail[blanks.end() if blanks else 0 :].split("\n", maxsplit=1)[0]
    return re.sub(r"\A[\s)]+", "", without_latex(line.replace("$", " ")))


def _unit_behind(tail: str) -> tuple[str, int]:
    """Return the unit, the scale or the percent sign behind a boxed number, and how far it reaches."""
    text = _plain_behind(tail)
    found = _SIGN.match(text) or _UNIT_SIGNS.match(text) or SCALES.match(text)
    if found is None and (words := _WORDS.match(text)) and (len(words["first"]) == 1 or unit_of(words["first"])):
        found = None if words["first"] in ("a", "I", "A", "in", "s", "t") else re.match(r"\S+", words[0])
    if found is None:
        return "", 0
    unit = found[0].rstrip(".,")
    place = tail.find(unit)
    return f" {unit}", place + len(unit) if place >= 0 else 0
