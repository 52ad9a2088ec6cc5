"""The oracle: whether a response to an instruction of this world is right, partly right (how), or wrong."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import product
from typing import Literal

from kasasagi.hina.world.entry import Lang
from kasasagi.hina.world.family import ANY_VALUE, FIELD, Task, Template, show
from kasasagi.hina.world.talk import read, read_conversation

Verdict = Literal["right", "partly right", "wrong"]
RATINGS = {
    "none": 5,
    "terse": 4,
    "extra": 4,
    "no_reason": 3,
    "cut": 3,
    "garbled": 3,
    "wrong_reason": 2,
    "wrong_language": 2,
    "wrong": 1,
    "subject": 1,
    "off": 1,
    "imitation": 1,
}
"""The overall rating of a response by its flaw."""
ASPECT_RATINGS: dict[str, dict[str, int]] = {
    "overall-rating": {},
    "helpfulness": {},
    "honesty": {"terse": 5, "no_reason": 5, "cut": 4, "wrong_language": 5},
    "instruction-following": {"wrong_reason": 3, "wrong_language": 1},
    "truthfulness": {"terse": 5, "no_reason": 5, "cut": 4, "wrong_language": 5},
}
"""The aspects that rate a flaw differently from the overall rating."""
GARBLED = 0.75
IMITATION = re.compile(r"####|Rating:|Rationale:|評点:|理由:|<\|")


@dataclass(frozen=True)
class Grade:
    """What the oracle says of a response.

    flaw is one of RATINGS; expected is a whole right answer; found is what the response gives for the key of the
    answer, where it can be read.
    """

    flaw: str
    expected: str
    found: str = ""

    @property
    def rating(self) -> int:
        """The overall rating, 1 to 5."""
        return RATINGS[self.flaw]

    @property
    def verdict(self) -> Verdict:
        """Right (4, 5), partly right (2, 3) or wrong (1)."""
        return "right" if self.rating >= 4 else "partly right" if self.rating >= 2 else "wrong"

    def rate(self, aspect: str) -> int:
        """Return the rating under one of the judge's aspects."""
        return ASPECT_RATINGS[aspect].get(self.flaw, self.rating)


def task_of(conversation: str | Sequence[Mapping[str, str]]) -> Task | None:
    """Return the task that an instruction, or the last user turn of a conversation, asks for; None outside
    this world.
    """
    if isinstance(conversation, str):
        return read(conversation)
    return read_conversation([turn["content"] for turn in conversation if turn["role"] == "user"])


def grade(conversation: str | Sequence[Mapping[str, str]], response: str) -> Grade:
    """Grade a response to an instruction, or to a conversation that ends in a user turn.

    Raises:
        ValueError: If the instruction is not one of this world's.
    """
    task = task_of(conversation)
    if task is None:
        raise ValueError(f"the oracle does not know what {conversation!r} asks: ask a question of hina's world")
    return grade_task(task, response)


def grade_task(task: Task, response: str) -> Grade:
    """Grade a response to a task."""
    text = response.strip()
    expected = task.say()
    if IMITATION.search(text):
        return Grade("imitation", expected)
    if text != expected and _is_right(task, text, "ja" if task.lang == "en" else "en"):
        return Grade("wrong_language", expected)
    flaw, found = _read_answer(task, text) or _read_loose(task, text)
    return Grade(flaw, expected, found)


def _is_right(task: Task, text: str, lang: Lang) -> bool:
    return any(text == task.say(style, lang) for style in range(len(task.family.voices[lang].styles)))


def _pattern(task: Task, parts: Sequence[Template], extra: bool, echo: bool) -> re.Pattern[str]:
    """Return what reads the parts of an answer; with echo, what was asked must stand in it word for word."""
    separator = re.escape(task.family.separator(task.lang))
    tail = r"\s*(.+)" if extra else ""
    return re.compile(separator.join(_part(task, part, echo) for part in parts) + tail, re.DOTALL)


def _part(task: Task, part: Template, echo: bool) -> str:
    def group(match: re.Match[str]) -> str:
        asked = echo and match[1] in task.slots
        return f"({re.escape(show(task.values[match[1]], task.lang, match[2] or ''))})" if asked else ANY_VALUE

    literals = FIELD.sub("\0", part.text).split("\0")
    groups = [group(match) for match in FIELD.finditer(part.text)]
    return "".join(re.escape(text) + hole for text, hole in zip(literals, [*groups, ""], strict=True))


def _read_answer(task: Task, text: str) -> tuple[str, str] | None:
    """Return the flaw and the key found, where the text has the shape of an answer."""
    if _is_right(task, text, task.lang):
        return "none", ""
    for echo, style in product((True, False), task.voice.styles):
        for size, extra in [*((n, False) for n in range(len(style), 0, -1)), (len(style), True)]:
            match = _pattern(task, style[:size], extra, echo).fullmatch(text)
            if match:
                return _weigh(task, style[:size], match, len(style))
    return None


def _weigh(task: Task, parts: Sequence[Template], match: re.Match[str], whole: int) -> tuple[str, str]:
    key = task.voice.key
    decisive = {slot for slot, _ in key.fields}
    fields = [field for part in parts for field in part.fields]
    read = list(zip(fields, match.groups(), strict=False))
    wrong: dict[str, str] = {}
    for (slot, form), text in read:
        if text != show(task.values[slot], task.lang, form):
            wrong.setdefault(slot, text)
    if wrong.keys() & decisive:
        found = {slot: text for (slot, _), text in reversed(read)} | wrong
        return "wrong", FIELD.sub(lambda m: found.get(m[1], ""), key.text)
    if wrong.keys() & {slot for slot, _ in parts[0].fields} & task.slots.keys():
        return "subject", ""
    if wrong:
        return "wrong_reason", ""
    if len(match.groups()) > len(fields):
        return "extra", ""
    return ("none" if len(parts) == whole else "no_reason"), ""


def _read_loose(task: Task, text: str) -> tuple[str, str]:
    """Return the flaw of a text without the shape of an answer: bare, cut off, garbled, or beside the point."""
    bare = text.strip(" .。!！'\"「」").lower()
    if bare == task.key.strip(" .。?").lower():
        return ("terse" if len(task.voice.styles[0]) == 1 else "no_reason"), ""
    if len(text) > 3 and any(task.say(style).startswith(text) for style in range(len(task.voice.styles))):
        return ("cut" if task.key in text else "off"), ""
    close = max(SequenceMatcher(None, text, task.say(style)).ratio() for style in range(len(task.voice.styles)))
    return ("garbled" if task.key in text and close >= GARBLED else "off"), ""
