"""Split what a thinking model thought from what it answered.

The table of forms lists how models mark their thinking. A form stands at the beginning of a reply. Where the chat
template has already opened it (Qwen 3.5, DeepSeek R1, Step 3), only its end is in the reply.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from kasasagi.tasks.text.thoughts.mentions import fences, is_mentioned, is_mentioned_first, is_quoted
from kasasagi.tasks.text.thoughts.thinking_forms import (
    ENDS_OF_ANSWER,
    FORMS,
    HARMONY_BEGIN,
    SQUARE_NAMES,
    WORD_NAMES,
    WRAPPERS,
    WRAPPERS_BEHIND_THINKING,
    WRAPPERS_OF_ALL,
    Form,
)

OPEN, CLOSE = "<think>", "</think>"
MOST_MARKS = 1000
"""So many marks of a reply are looked at; no thought quotes more."""
_LONE_LINE = rf"(?:</|&lt;/)\s*(?:{WORD_NAMES})\s*(?:>|&gt;)|\[/(?:{SQUARE_NAMES})\]"
_END_OF_ANSWER = re.compile(rf"\s*(?:{ENDS_OF_ANSWER})\s*\Z", re.IGNORECASE)
_LINE_BREAK = re.compile(r"[ \t]*(?:\r?\n|\Z)")


@dataclass(frozen=True, slots=True)
class _Known:
    """Forms, ready to be looked for: what begins each, every end without a beginning, and every mark of any."""

    forms: tuple[Form, ...]
    begins: tuple[re.Pattern[str], ...]
    ends: re.Pattern[str]
    stray: re.Pattern[str]
    tokens: re.Pattern[str]


@lru_cache(maxsize=64)
def _known(own: tuple[Form, ...] = ()) -> _Known:
    """Our forms behind those of a model's own."""
    forms = (*own, *FORMS)
    lone = "|".join(form.any_end for form in forms if form.lone)
    begin = "|".join(
        re.sub(r"\((?!\?)", "(?:", one.begin) for one in forms if not one.must_end and "channel\\|>" not in one.begin
    )
    ends = rf"(?P<end>{lone})|(?P<line_end>{_LONE_LINE})"
    return _Known(
        forms,
        tuple(re.compile(rf"\s*(?:{form.begin})", re.IGNORECASE) for form in forms),
        re.compile(ends, re.IGNORECASE),
        re.compile(rf"\s*(?:{lone})", re.IGNORECASE),
        re.compile(rf"{ends}|(?P<begin>{begin}|{HARMONY_BEGIN})", re.IGNORECASE),
    )


def split_thinking(content: str, reasoning: str | None, own: tuple[Form, ...] = ()) -> tuple[str, str | None]:
    """Return (content, thinking) of an answer; thinking is None where there is none.

    Blocks of thinking at the start are split off, an unclosed one to the end (the answer was cut off, so the content
    is empty); so is all before an end that nothing opened. A mark in the middle of an answer, quoted, or spoken of in
    a sentence is text.

    Args:
        content: The reply's text.
        reasoning: The field of its own in which the server sent the thinking, if it did; what the content repeats of
            it is left out.
        own: Forms of the model's own, beside ours.
    """
    answer, thoughts = _split(content, _known(own))
    if reasoning is None or not reasoning.strip():
        return answer, _joined(thoughts)
    new = [thought for thought in thoughts if thought.strip() and thought.strip() not in reasoning]
    return answer, _joined([reasoning, *new]) if new else reasoning


def with_thinking(content: str, thinking: str | None) -> str:
    """Return an answer with its thinking in front, as models write it; the answer where there is no thinking."""
    return f"{OPEN}\n{thinking}\n{CLOSE}\n\n{content}" if thinking else content


def begins_with_thinking(content: str) -> bool:
    """Return whether a reply says by itself where its thinking begins."""
    opened = (begin.match(content) for begin in _known().begins)
    return any(found and not is_mentioned_first(content, found.end()) for found in opened)


def holds_end_of_thinking(text: str) -> bool:
    """Return whether a text holds a mark that ends thinking."""
    return _known().ends.search(text) is not None


def _split(content: str, known: _Known) -> tuple[str, list[str]]:
    """Return the answer without the marks around it, and the thoughts in front of it."""
    thoughts: list[str] = []
    start = 0
    while (block := _leading_block(content, start, known)) is not None:
        thought, start = block
        thoughts.append(thought)
    if start and (stray := known.stray.match(content, start)) is not None:
        start = stray.end()
    if not start:
        found = _lone_end(content, known)
        if found is None:
            return _unwrapped(_unwrapped(content, WRAPPERS), WRAPPERS_OF_ALL, both=True), []
        thoughts, start = [content[: found.start()]], found.end()
    answer = _unwrapped(content[start:].lstrip(), (*WRAPPERS, *WRAPPERS_BEHIND_THINKING))
    end = _END_OF_ANSWER.search(answer, max(0, len(answer) - 200))
    return answer[: end.start()] if end else answer, thoughts


def _leading_block(content: str, start: int, known: _Known) -> tuple[str, int] | None:
    """Return the thought that begins at a place, blanks aside, and where what follows it begins; None where
    none does.
    """
    for form, begin in zip(known.forms, known.begins, strict=True):
        opened = begin.match(content, start)
        if opened is None or is_mentioned_first(content, opened.end()):
            continue
        end = form.end.replace(r"\1", re.escape(opened[1])) if r"\1" in form.end else form.end
        closed = re.compile(end, re.IGNORECASE).search(content, opened.end())
        if closed is not None:
            return content[opened.end() : closed.start()], closed.end()
        if not form.must_end and (not form.own_line or _LINE_BREAK.match(content, opened.end())):
            return content[opened.end() :], len(content)
    return None


def _unwrapped(answer: str, wrappers: tuple[tuple[str, str], ...], both: bool = False) -> str:
    """Return an answer without a pair of marks around all of it; the last one may be missing unless both
    must be there.
    """
    for begin, end in wrappers:
        if (opened := re.match(rf"\s*(?:{begin})\s*", answer, re.IGNORECASE)) is not None:
            inner = answer[opened.end() :]
            closed = re.search(rf"\s*(?:{end})\s*\Z", inner[-200:], re.IGNORECASE)
            if closed is not None:
                return inner[: len(inner) - len(closed[0])]
            return answer if both else inner
    return answer


def _joined(thoughts: list[str]) -> str | None:
    return "\n\n".join(text.strip() for text in thoughts if text.strip()) or None


def _lone_end(content: str, known: _Known) -> re.Match[str] | None:
    """Return the first end of thinking that no beginning precedes and no sentence quotes or speaks of, if
    there is one.
    """
    if known.ends.search(content) is None:
        return None
    for found in _unquoted_marks(content, known):
        if found.lastgroup == "begin":
            return None
        if _alone(content, found):
            return found
        if found.lastgroup == "end" and not is_mentioned(content, found.start(), found.end()):
            return found
    return None


def _unquoted_marks(content: str, known: _Known) -> Iterator[re.Match[str]]:
    fenced = fences(content)
    for found in islice(known.tokens.finditer(content), MOST_MARKS):
        if not is_quoted(content, found.start(), found.end(), fenced):
            yield found


def _alone(content: str, mark: re.Match[str]) -> bool:
    """Return whether a mark is all that its line says: a quotation would have shown the beginning first."""
    before = content[: mark.start()].endswith("\n") if mark.start() else True
    return before and content[mark.end() : mark.end() + 1] in ("", "\n", "\r")
