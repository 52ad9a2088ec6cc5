"""The key by which two prompts are the same, and the looser form in which texts are compared for likeness."""

import re
import unicodedata
from collections.abc import Sequence
from itertools import pairwise

from kasasagi.blocks.canonical import digest

_PLAIN = re.compile(r"\S+(?: \S+)*", re.ASCII)
# Indented lines, code, tables, lists, verse with markup and quotations: there blanks and line breaks may matter.
_LAID_OUT = re.compile(r"^[ \t]+\S|^(?:[-*+#>•・]|\d+[.)]) |[`\"'={}<>;|\\]", re.MULTILINE)
# Rows of numbers, comments, `key: value`, calls and signs of formulas: text of lines, not of sentences.
_OF_LINES = re.compile(r"\d\s+\d|--|//|^\S+[:：](?: |$)|\w\(|[\[\]@#$%^&*+~_]", re.MULTILINE)
_SENTENCE_END = re.compile(r"[.?!。？！][)”’」』）]?\Z")
_WORD_END = re.compile(r"[^\W_][)”’」』）]?\Z|[,，、;]\Z")
_LETTER = re.compile(r"[^\W\d_]")
FEWEST_LETTERS, FEWEST_LETTERS_JAPANESE = 12, 20
FULL_LINE = 40
_WIDTH = ("<wide>", "<narrow>", "<noBreak>")
_BLANK = {
    ord(sign): " " for sign in "\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f"
}


def fold(text: str) -> str:
    """Return a text in NFKC, each run of whitespace one blank, none at the ends; for likeness, not for equality."""
    return " ".join((text if text.isascii() else unicodedata.normalize("NFKC", text)).split())


def exact_key(messages: Sequence[dict[str, str]]) -> str:
    """Return the key of a conversation: equal for two that no reader would tell apart by their meaning.

    The width of letters (Ａ and A), composed and decomposed letters, the kind of a blank, blank lines, blanks at the
    ends of lines and, in plain prose, all other runs of whitespace are ignored, the breaks of wrapped lines among them.
    Indentation, the lines of code, lists, rows, verses and quotations, and everything else count: x² is not x2.
    """
    return digest([[message["role"], same_text(message["content"])] for message in messages])


def same_text(text: str) -> str:
    """Return the form of a text that `exact_key` compares."""
    if text.isascii() and _PLAIN.fullmatch(text):
        return text
    plain = text if text.isascii() else _one_width(text)
    lines = [line for line in map(str.rstrip, plain.splitlines()) if line]
    if not lines:
        return ""
    lines[0] = lines[0].lstrip()
    whole = "\n".join(lines)
    if _LAID_OUT.search(whole) or (len(lines) > 1 and not _is_wrapped(lines, whole)):
        return whole
    return " ".join(whole.split())


def _is_wrapped(lines: Sequence[str], whole: str) -> bool:
    """Return whether lines are clearly wrapped prose: sentences, broken where a line is full."""
    if _OF_LINES.search(whole) or not _SENTENCE_END.search(lines[-1]):
        return False
    width = max(map(len, lines))
    return all(_breaks_in_prose(line, after, width) for line, after in pairwise(lines))


def _breaks_in_prose(line: str, after: str, width: int) -> bool:
    least = FEWEST_LETTERS if line.isascii() else FEWEST_LETTERS_JAPANESE
    is_full = len(line) >= FULL_LINE
    has_room = len(line) + 1 + len(after.split(" ", 1)[0]) <= width
    if len(_LETTER.findall(line)) < least or (has_room and not is_full):
        return False
    if _SENTENCE_END.search(line):
        return is_full
    return _WORD_END.search(line) is not None and after[0].isalpha() and not after[0].isupper()


def _one_width(text: str) -> str:
    """Return a text in NFC with letters and blanks of one width; superscripts, fractions and circled numbers stay."""
    narrow = "".join(map(_narrow, text.translate(_BLANK)))
    return unicodedata.normalize("NFC", narrow)


def _narrow(sign: str) -> str:
    if sign < "\u2000":
        return sign
    kind = unicodedata.decomposition(sign)
    return unicodedata.normalize("NFKC", sign) if kind.startswith(_WIDTH) else sign
