"""Rules that an answer must keep before a judge is paid to read it; each costs a fraction of a millisecond.

They err on the side of the answer: what a rule drops should be bad beyond doubt, since the judge sees the rest.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from kasasagi.blocks.suggestions import remedy
from kasasagi.tasks.text.answer_language import other_language
from kasasagi.tasks.text.asked_repetition import repeats_asked
from kasasagi.tasks.text.endings import is_cut_off
from kasasagi.tasks.text.languages import LANGUAGE_CHARS
from kasasagi.tasks.text.leaks.answer_leaks import leak_in
from kasasagi.tasks.text.leaks.template_marks import undecoded
from kasasagi.tasks.text.refusals import refusal_in

LOOP_PERIOD = 400
LOOP_REPEATS = 6
LOOP_CHARS = 60


@dataclass(frozen=True, slots=True)
class Answer:
    """What the rules look at: the last thing that the user said, and the answer with how it ended."""

    instruction: str
    content: str
    finish_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Broken:
    """The rule that an answer broke: `reason` for machines, `detail` for people."""

    rule: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class ResponseRule:
    """A reason, and a test that gives None where the rule holds and else the detail."""

    reason: str
    test: Callable[[Answer], str | None]


def first_broken(rules: Sequence[str], answer: Answer) -> Broken | None:
    """Return the first of the named rules that an answer breaks, or None.

    Raises:
        ValueError: For a name that no rule has.
    """
    for name in rules:
        rule = RULES.get(name)
        if rule is None:
            raise ValueError(_unknown(name))
        detail = rule.test(answer)
        if detail is not None:
            return Broken(name, rule.reason, detail)
    return None


def _unknown(name: str) -> str:
    return f"{name!r} is not a rule for responses; {remedy(name, RULES)}"


def _excerpt(text: str) -> str:
    text = " ".join(text[:120].split())
    return text if len(text) <= 60 else text[:60] + "…"


def _truncated(answer: Answer) -> str | None:
    return f"the answer ended by {answer.finish_reason!r}" if is_cut_off(answer.finish_reason) else None


_UNSEEN = "\u200b\u200c\u200d\u2060\ufeff"


def _empty(answer: Answer) -> str | None:
    return None if answer.content.strip().strip(_UNSEEN).strip() else "the answer is empty"


def _refused(answer: Answer) -> str | None:
    opening = refusal_in(answer.instruction, answer.content)
    return None if opening is None else f"the answer opens with {_excerpt(opening)!r}"


_SENTENCE_END = re.compile(r"[\n。！？!?]+|\. ")


def _repeats(answer: Answer) -> str | None:
    """Return a loop: one sentence or line over and over, or a phrase that follows upon itself many times.

    The instruction may ask for as many repeats: "Write hello ten times."
    """
    found = _repeated_sentence(answer.content) or _loop(answer.content)
    if found is None or found.times <= _allowed(answer.instruction[:LANGUAGE_CHARS], found.piece):
        return None
    return f"{_excerpt(found.piece)!r} {found.act} {found.times} times"


@dataclass(frozen=True, slots=True)
class _Loop:
    """A piece of an answer and how often it stands there; `act` words this for people."""

    piece: str
    times: int
    act: str


def _allowed(instruction: str, piece: str) -> float:
    """Return how often a piece is allowed: as often as asked, times how often the words to be repeated hold it."""
    return repeats_asked(instruction) * max(1, instruction.lower().count(piece.strip().lower()))


def _repeated_sentence(text: str) -> _Loop | None:
    """Return a sentence or line, whatever number or bullet it has, that makes up half of the text."""
    pieces = [piece.strip(" \t　0123456789.-*#>|)(") for piece in _SENTENCE_END.split(text)]
    if len(pieces) < LOOP_REPEATS:
        return None
    [(piece, times)] = Counter(piece for piece in pieces if len(piece) >= 6).most_common(1) or [("", 0)]
    if times < LOOP_REPEATS or 2 * times * len(piece) < len(text):
        return None
    return _Loop(piece, times, "stands")


def _loop(text: str) -> _Loop | None:
    """Return a stretch in which a unit of up to LOOP_PERIOD characters follows upon itself; probed at
    regular places.
    """
    gram = 16
    start = 0
    while start < len(text) - gram:
        again = text.find(text[start : start + gram], start + 1, start + LOOP_PERIOD + gram)
        if again < 0:
            start += 2 * gram
            continue
        first, last = _stretch(text, start, again - start)
        if _is_loop(text, text[start:again], last - first):
            return _Loop(text[start:again], (last - first) // (again - start), "follows upon itself")
        start = max(start + 2 * gram, last - gram)
    return None


def _stretch(text: str, start: int, period: int) -> tuple[int, int]:
    """Return how far whole copies of text[start : start + period] reach to both sides."""
    unit = text[start : start + period]
    first, last = start, start + period
    while text.startswith(unit, last):
        last += period
    while first >= period and text.startswith(unit, first - period):
        first -= period
    return first, last


def _is_loop(text: str, unit: str, length: int) -> bool:
    """Words loop when they come often; rules, blanks and zeros only when they are most of the answer."""
    if length < LOOP_CHARS or length < LOOP_REPEATS * len(unit):
        return False
    return any(sign.isalpha() for sign in unit) or (length >= 3 * LOOP_CHARS and 2 * length > len(text))


def _undecoded(answer: Answer) -> str | None:
    sample = undecoded(answer.content)
    return f"the tokens of the answer are not decoded: {sample!r}" if sample else None


RULES: Mapping[str, ResponseRule] = MappingProxyType(
    {
        "finished": ResponseRule("truncated", _truncated),
        "not_empty": ResponseRule("empty", _empty),
        "no_refusal": ResponseRule("refusal", _refused),
        "same_language": ResponseRule(
            "other_language", lambda answer: other_language(answer.instruction, answer.content)
        ),
        "no_repetition": ResponseRule("repetition", _repeats),
        "no_template_leak": ResponseRule("template_leak", lambda answer: leak_in(answer.instruction, answer.content)),
        "decoded": ResponseRule("undecoded", _undecoded),
    }
)
"""All rules by the names that a recipe uses."""
