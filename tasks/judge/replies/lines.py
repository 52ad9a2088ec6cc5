"""What the readers of judges' replies share: lines made plain, JSON as it was written, and how a reply is refused."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NoReturn

HEAD_CHARS = 200
"""How much of a line is looked at for labels; a longer rating line is no clean rating anyway."""

_WIDE = {0xFF01 + offset: 0x21 + offset for offset in range(94)}
_INVISIBLE = dict.fromkeys([*range(0x200B, 0x2010), 0x2060, 0xFE0E, 0xFE0F, 0xFEFF])
PLAIN: dict[int, int | None] = {**_WIDE, **_INVISIBLE, 0x3000: 0x20, 0x00A0: 0x20, 0x2236: 0x3A}

LEADING = "#>*_`+-•・ \t\u3000\u00a0\ufeff\u200b"
EMPHASIS = re.compile(r"(?<![0-9*_`])[*_`]++|[*_`]++(?![0-9])")
_RATIONALE_LABEL = re.compile(r"[#>*_`+\-•・\s]*+(?:rationale|理由)[*_`\s]*+[:：][*_`]*+\s*+", re.IGNORECASE)
FENCE = re.compile(r"\s*(?:`{3,}|~{3,})\w*\s*")
_RULES = ("---", "***")
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_REPORTS = (
    r"(?:says?|said|saying|reads|states?|stating|writes|wrote|adds|quotes?|quoted|contains?|includes?|ends|closes"
    r"|concludes|begins|starts|opens|finishes|namely|follows|the following|(?:it|text|answer|response|[0-9]) claims)"
)
_OPEN_END = re.compile(
    r"(?:[:,、;‥…=→⇒>~〜|(\[{「『“‘‐-―-]"
    rf"|\b{_REPORTS}(?:\s(?:it|so|thus|in|on|by|its|own|last|final|rating|verdict|score|claim|below|here|this way))*"
    r"|\b(?:the|a|an|of|with|by|and|as|that|is|are)"
    r"|\b(?:the|this|these|its|own|last|final|with)\s(?:words?|lines?|phrases?|sentences?|statements?|quote)"
    r"|\b(?:like (?:this|so)|thus|in (?:these|its own) words|how it (?:ends|begins|closes|reads))"
    r"|(?:こう|このように|次のように|以下のように|下のように|こんなふうに)[^。、]{0,16}"
    r"|次の(?:行|通り|とおり|よう)に?|以下|下記|曰く|引用|[はがをにへも]|(?<!こ)と|(?<!も)の|(?:文|文言|言葉|一文|行|次)で"
    r"|とある|とあり|[とで](?:続く|続き|終わる|終わり|結ぶ|結び|書く|書き|言う|言い|述べる|述べ|記す|記し|主張する"
    r"|(?:書いて|書かれて|述べて|言って|終わって|結んで|記して|主張して)(?:いる|ある|います|あります|おり)))\Z"
)
_ENDS_OF_SENTENCES = (".", "!", "?")
_COURTESY = re.compile(
    r"(?:i hope|hope (?:this|that|it)|let me know|please (?:let me know|feel free)|feel free|thank you|thanks"
    r"|if you (?:need|have|would|want)|以上(?:です|が|、|。|となります)|ご不明|ご参考|お役に立"
    r"|何か(?:ご|あり|あれ|ござい))"
    r"[^0-9０-９一二三四五:：\n]{0,120}",
    re.IGNORECASE,
)
_END_MARKS = (
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end|>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<|end_of_turn|>",
    "<|return|>",
    "<|eot|>",
    "<end_of_turn>",
    "<turn|>",
    "<eos>",
    "</s>",
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A judge's word on one text: the rating on the scale that was asked for, and why (may be empty).

    Attributes:
        text_rating: The rating as the reply says it, where ratings are read by distribution.
        read: How the rating was read there: `distribution`, or why it is the text's (see
            `kasasagi.tasks.judge.replies.distribution`).
    """

    rating: float
    rationale: str
    text_rating: float | None = None
    read: str | None = None


class UnreadableReply(ValueError):
    """A judge's reply that could mean something else than it seems to: `reason` for machines, `detail` for people."""

    def __init__(self, reason: str, detail: str) -> None:
        self.reason = reason
        self.detail = detail.encode("utf-8", "replace").decode()
        super().__init__(f"{reason}: {self.detail}")

    def __reduce__(self) -> tuple[type["UnreadableReply"], tuple[str, str]]:
        """Keep both words when the error is pickled."""
        return type(self), (self.reason, self.detail)


def refuse(reason: str, detail: str) -> NoReturn:
    """Raise UnreadableReply."""
    raise UnreadableReply(reason, detail)


def quote(text: str) -> str:
    """Return a text as a sentence quotes it: short, and on one line."""
    text = text.strip()
    return json.dumps(text if len(text) <= 60 else text[:60] + "…", ensure_ascii=False)


def reply_lines(reply: str) -> Sequence[str]:
    """Return the lines of a reply with their ends; only CR and LF end one.

    A closing courtesy, such as "I hope this helps!", and template end marks are left out. str.splitlines also takes
    U+2028, U+0085 and the vertical tab for line ends, which a text that the judge quotes may hold within a sentence.

    Raises:
        UnreadableReply: For an empty reply.
    """
    if not reply.strip():
        refuse("empty_reply", "the reply is empty")
    lines = _without_end_marks(_LINE.findall(reply))
    stop = len(lines)
    while stop and (not lines[stop - 1].strip() or _COURTESY.fullmatch(lines[stop - 1].strip())):
        stop -= 1
    return lines[:stop] if any(line.strip() for line in lines[stop:]) else lines


def _without_end_marks(lines: Sequence[str]) -> Sequence[str]:
    """Return the lines without what chat templates put behind a reply, and servers may leave there."""
    kept = [*lines]
    while kept and (not kept[-1].strip() or kept[-1].rstrip().lower().endswith(_END_MARKS)):
        last = kept.pop().rstrip()
        mark = next((mark for mark in _END_MARKS if last.lower().endswith(mark)), None)
        if mark is not None and (rest := last[: -len(mark)]).strip():
            kept.append(rest)
    return kept or lines


def plain_head(raw: str) -> str:
    """Return the beginning of a line without marks of Markdown, full-width forms and capitals: where a label would
    stand.
    """
    bare = raw.lstrip(LEADING)
    return without_marks(bare[:HEAD_CHARS]).strip().lower()


def without_marks(text: str) -> str:
    """Return a text without marks of Markdown and full-width forms."""
    plain = text if text.isascii() else text.translate(PLAIN)
    return EMPHASIS.sub("", plain) if any(mark in plain for mark in "*_`") else plain


def is_long(raw: str) -> bool:
    """Return whether a line is longer than what is looked at for labels."""
    return len(raw.lstrip(LEADING)) > HEAD_CHARS


def rationale_lines(words: Sequence[str]) -> list[str]:
    """Return the words of a reply or a section of it, without the rationale label and without bare code fences and
    rules.
    """
    kept = [line for line in words if not FENCE.fullmatch(line) and line.strip() not in _RULES]
    for index, line in enumerate(kept):
        label = _RATIONALE_LABEL.match(line)
        if label:
            kept[index] = line[label.end() :]
            break
    return kept


def opens_rationale(raw: str) -> bool:
    """Return whether a line begins with the label of a rationale."""
    return _RATIONALE_LABEL.match(raw) is not None


def stands_inside(before: Sequence[str], after: Sequence[str]) -> bool:
    """Return whether the lines between two others of a section belong to its rationale, where they may be a quotation.

    Args:
        before: The line before them.
        after: The line after them; they belong to the rationale only if it continues there.
    """
    rationale, more = ([line for line in rationale_lines(lines) if line.strip()] for lines in (before, after))
    begun = any(map(opens_rationale, before))
    return bool(rationale) and bool(more) and (begun or not any(map(opens_rationale, after)))


def announces(before: Sequence[str], *, by_colon: bool = False) -> bool:
    """Return whether the last words before a line announce it, so that it may be a quotation.

    They do so by a mark that leaves a sentence open, such as a comma, or by a last word such as "says"; or by a colon
    alone, if asked so.
    """
    words = [line.strip() for line in before if re.search(r"\w", line)]
    if not words or _RATIONALE_LABEL.fullmatch(words[-1]):
        return False
    if by_colon:
        return words[-1].endswith((":", "："))
    end = without_marks(words[-1][-HEAD_CHARS:]).rstrip().lower()
    if end.isascii() and end.endswith(_ENDS_OF_SENTENCES):  # no English words announce by these, and the search is slow
        return False
    return _OPEN_END.search(end) is not None


class Quotes:
    """Follows the lines of a reply and finds those in a quotation: after `>`, or in a block of code.

    A block that opens before any label may be the reply itself in a fence; after a preamble it is the reply if it has
    the label of a rationale or a section.
    """

    def __init__(self) -> None:
        self._block: Literal["none", "own", "unsure", "quotation"] = "none"
        self._labels = self._words = False

    def holds(self, raw: str, label: Literal["section", "verdict", "none"]) -> bool:
        """Return whether the next line is quoted; label says what it is labelled as."""
        if FENCE.fullmatch(raw):
            self._block = self._state() if self._block == "none" else "none"
            return False
        if label == "section" or opens_rationale(raw):
            self._block = "own" if self._block == "unsure" else self._block
        self._labels = self._labels or label != "none" or opens_rationale(raw)
        self._words = self._words or bool(raw.strip())
        return self._block in ("unsure", "quotation") or raw.lstrip().startswith((">", "＞"))

    def _state(self) -> Literal["own", "unsure", "quotation"]:
        return "quotation" if self._labels else "unsure" if self._words else "own"
