"""The strict reader of answers to a checklist: yes or no to each item, on lines that no judged text can hold.

The judge begins each answer with the mark of its request, which stands in none of the texts that it was shown. A line
without the mark is no answer: what a text claims of itself changes nothing, even if the judge quotes it. A line that
looks like an answer and is neither marked nor a quotation, a second answer to an item, or words behind the last answer
are a refusal.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from kasasagi.tasks.judge.replies.claimed_verdicts import plain_text
from kasasagi.tasks.judge.replies.json_values import json_rationale, split_json
from kasasagi.tasks.judge.replies.lines import FENCE, is_long, plain_head, quote, refuse, reply_lines
from kasasagi.tasks.judge.replies.places import Span
from kasasagi.tasks.judge.replies.remarks import check_remarks

_YES, _NO, _DIGITS = ("yes", "はい"), ("no", "いいえ"), ("1", "0")
_ANSWER = rf"(?P<answer>{'|'.join((*_YES, *_NO))})"
_NUMBER = r"(?:(?:question|item|質問|項目)\s*)?(?P<number>[0-9]{1,3})"
_LINE = rf"\W*{_NUMBER}[^\w:：.)）]*[:：.)）]\W*{_ANSWER}\W*"
_LINE_OF_DIGITS = rf"\W*{_NUMBER}[^\w:：]*[:：][^\w.-]*(?P<answer>[01]|{'|'.join((*_YES, *_NO))})\W*"
_REASON = re.compile(
    r"[\W_]*(?:reason|理由)\s*(?P<number>[0-9]{1,3})[\W_]*[:：]\s*(?P<words>.*)", re.IGNORECASE | re.DOTALL
)
_LIKE = re.compile(
    rf"(?:(?:(?:question|item|answer|質問|項目|回答)\s*)?[0-9]{{1,3}}\s*[:.)=-]\s*)?{_ANSWER}\s*(?:[.。!,、—–-].*)?"
)
"""A line without a mark that may be an answer."""
_LIKE_DIGITS = re.compile(r"(?:(?:question|item|answer|質問|項目|回答)\s*)?[0-9]{1,3}\s*[:=-]\s*[01]\W*")
_TURNED = re.compile(
    rf"(?<![a-z]){_ANSWER}[\"'”」』]?\s*(?:means?\b|=|stands?\s+for|counts?\s+as|here\s+means|は[^。]{{0,12}}意味|とは)",
    re.IGNORECASE,
)
"""Words that may change what an answer means."""
_JSON_NAMED = re.compile(r'"\s*answers\s*"', re.IGNORECASE)
_JSON_SET = re.compile(_JSON_NAMED.pattern + r"\s*[:：]", re.IGNORECASE)
_JSON_ENTRY = re.compile(
    r'"\s*question\s*"\s*:\s*(?P<number>[0-9]{1,3})\s*,(?:\s*"\s*reason\s*"\s*:\s*"(?:[^"\\]|\\.)*"\s*,)?'
    r'\s*"\s*answer\s*"\s*:\s*(?P<answer>[01])(?![0-9.])',
    re.IGNORECASE,
)
"""An entry of a JSON reply whose answer is a digit."""
_DOUBTED = re.compile(
    rf"[?？¬≠]|~~|[!！]\W*{_ANSWER}|[❌✗✘✖🚫👎].*(?:yes|はい)|(?:yes|はい).*[❌✗✘✖🚫👎]"
    r"|[✅✓✔👍].*(?:no|いいえ)|(?:no|いいえ).*[✅✓✔👍]",
    re.IGNORECASE,
)
"""Signs in a line with the mark that ask, deny, strike out or say another thing than its answer."""
_NO_WORDS = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class ItemAnswer:
    """A judge's answer to one item, and why (may be empty)."""

    yes: bool
    reason: str


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """How the answers of one request look.

    Attributes:
        mark: The mark of the request, which stands in nothing that the judge is shown.
        digits: Whether 1 and 0 stand for yes and no, so that they have probabilities.
    """

    mark: str
    digits: bool = False

    def marked(self, raw: str) -> re.Match[str] | None:
        """Return the match of a line that is an answer; it has an item's number and what is said to it."""
        line = _LINE_OF_DIGITS if self.digits else _LINE
        if is_long(raw) or _DOUBTED.search(raw):
            return None
        return re.fullmatch(rf"\W*{self.mark}{line}", raw.strip(), re.IGNORECASE)

    def is_yes(self, answer: object) -> bool | None:
        """Return whether an answer is yes; None if it is neither yes nor no."""
        word = answer.strip().lower() if isinstance(answer, str) else None
        if word in _YES or (self.digits and word == _DIGITS[0]):
            return True
        return False if word in _NO or (self.digits and word == _DIGITS[1]) else None


def read_checklist(reply: str, count: int, form: AnswerForm, texts: Sequence[str] = ()) -> list[ItemAnswer]:
    """Return the answers to items 1 to `count`, in that order, whatever order the reply has them in.

    Args:
        reply: The judge's reply.
        count: The number of items that were asked.
        form: How its answers look.
        texts: All data that the judge was shown.

    Raises:
        UnreadableReply: The reply is not clear, or lacks an item, or has one twice.
    """
    lines = reply_lines(reply)
    if not any(form.marked(raw) for raw in lines):
        value, _, beside = split_json(lines, _JSON_NAMED, _JSON_SET)
        if value is not None:
            _check_words(beside)
            return _in_order(_from_json(value, form), count)
    return _in_order(_from_lines(lines, form, texts), count)


def checklist_places(form: AnswerForm, reply: str, ratings: Sequence[float], texts: Sequence[str]) -> list[Span | None]:
    """Return the place of each item's digit in a reply that was read; see `rating_places`."""
    lines = reply_lines(reply)
    found: dict[int, Span] = {}
    for start, raw in zip(accumulate(map(len, lines), initial=0), lines, strict=False):
        if (line := form.marked(raw)) is not None and line["answer"] in _DIGITS:
            before = start + len(raw) - len(raw.lstrip())
            found[int(line["number"])] = (before + line.start("answer"), before + line.end("answer"))
    if not found:
        entries = list(_JSON_ENTRY.finditer(reply))
        found = {int(one["number"]): one.span("answer") for one in entries} if len(entries) == len(ratings) else {}
    return [found.get(number) for number in range(1, len(ratings) + 1)]


def _in_order(answers: Sequence[tuple[int, ItemAnswer]], count: int) -> list[ItemAnswer]:
    found: dict[int, ItemAnswer] = {}
    for number, answer in answers:
        if number in found:
            refuse("repeated_answer", f"item {number} is answered twice")
        found[number] = answer
    extra = [number for number in found if not 1 <= number <= count]
    if extra:
        refuse("extra_answer", f"item {extra[0]} is answered, but there are only items 1 to {count}")
    missing = [number for number in range(1, count + 1) if number not in found]
    if missing:
        refuse("missing_answer", f"item {missing[0]} has no line with the mark and yes or no")
    return [found[number] for number in range(1, count + 1)]


def _from_lines(lines: Sequence[str], form: AnswerForm, texts: Sequence[str]) -> list[tuple[int, ItemAnswer]]:
    found: list[tuple[int, bool]] = []
    reasons: dict[int, list[str]] = {}
    words: list[str] | None = None
    preamble: list[str] = []
    for raw in lines:
        if form.mark in raw.lower():
            found.append(_answer(raw, form))
            words = None
        elif (labelled := _REASON.fullmatch(raw.strip())) is not None:
            words = reasons.setdefault(int(labelled["number"]), [])
            words.append(labelled["words"])
        elif raw.strip() and not FENCE.fullmatch(raw):
            _check_unmarked(raw, form, texts)
            if words is None and found:
                refuse("words_after", f"the line {quote(raw)} follows an answer, which it may change")
            (preamble if words is None else words).append(raw)
    check_remarks(preamble, (), None, reason="unclear_answer")
    _check_words([*preamble, *(line for some in reasons.values() for line in some)])
    return [(number, ItemAnswer(yes, " ".join(" ".join(reasons.get(number, ())).split()))) for number, yes in found]


def _answer(raw: str, form: AnswerForm) -> tuple[int, bool]:
    """Return the number of an item and whether the answer is yes, from a line with the mark."""
    found = form.marked(raw)
    if found is None:
        refuse("unclear_answer", f"the line {quote(raw)} is not an item's number with yes or no alone")
    return int(found["number"]), bool(form.is_yes(found["answer"]))


def _check_unmarked(raw: str, form: AnswerForm, texts: Sequence[str]) -> None:
    """Refuse a line that looks like an answer, unless it is a quotation of what the judge was shown."""
    head = plain_head(raw)
    is_like = _LIKE.fullmatch(head) or (form.digits and _LIKE_DIGITS.fullmatch(head))
    if is_like and not any(_bare(raw) in _bare(text) for text in texts):
        refuse("unclear_answer", f"the line {quote(raw)} resembles an answer, but lacks the mark")


def _check_words(lines: Sequence[str]) -> None:
    for raw in lines:
        if _TURNED.search(raw):
            refuse("unclear_answer", f"the line {quote(raw)} may change what the answers mean")


def _from_json(value: Any, form: AnswerForm) -> list[tuple[int, ItemAnswer]]:
    entry = _entry(value, ("mark", "answers"), "the JSON value")
    if not isinstance(entry["mark"], str) or entry["mark"].strip().lower() != form.mark:
        refuse("missing_mark", f"the mark in the JSON value is {entry['mark']!r:.60}, not that of the request")
    if not isinstance(entry["answers"], list):
        refuse("not_json", "answers is not a list in the JSON value")
    return [_json_answer(one, form) for one in entry["answers"]]


def _json_answer(value: Any, form: AnswerForm) -> tuple[int, ItemAnswer]:
    entry = _entry(value, ("question", "answer"), "an answer in the JSON value", ("reason",))
    number, answer = str(entry["question"]).strip(), entry["answer"]
    if re.fullmatch(r"[0-9]{1,3}", number) is None:
        refuse("unclear_answer", f"an answer in the JSON value is to {number!r:.60}, not to an item's number")
    if (yes := form.is_yes(answer)) is None:
        refuse("unclear_answer", f"the answer to item {number} is {answer!r:.60}, neither yes nor no")
    reason = json_rationale(f"item {number}", entry.get("reason", ""))
    _check_words([reason])
    return int(number), ItemAnswer(yes, " ".join(reason.split()))


def _entry(value: Any, needed: Sequence[str], which: str, more: Sequence[str] = ()) -> dict[str, Any]:
    """Return a JSON object, whose keys are known and stand there once."""
    if not isinstance(value, tuple):
        refuse("not_json", f"{which} is no JSON object")
    entry = {key.strip().lower(): item for key, item in value}
    unknown = [key for key in entry if key not in (*needed, *more)]
    if unknown or len(entry) < len(value):
        refuse("unknown_key", f"{which} has a key twice, or one whose meaning is not agreed")
    missing = [name for name in needed if name not in entry]
    if missing:
        refuse("missing_answer", f"{which} has no {missing[0]}")
    return entry


def _bare(text: str) -> str:
    """Return the letters and digits of a text alone."""
    return _NO_WORDS.sub("", plain_text(text))
