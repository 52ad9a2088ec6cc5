"""Constraints that a prompt states: what is recognised of it, and whether it seems to ask for more."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kasasagi.tasks.judge.checkers.instructions.constraints import Constraints

Found = Mapping[str, Any]
Read = Callable[[re.Match[str]], Found | None]
IsOrder = Callable[[str, re.Match[str]], bool]
"""Whether what a match says is asked of the answer, by the sentence around it."""
Rule = tuple[re.Pattern[str], Read]
"""A pattern, and what its match asks for; None where that is not clear."""


@dataclass(frozen=True, slots=True)
class Recognised:
    """What a prompt asks of an answer's form.

    Attributes:
        constraints: What is understood.
        left: A word that asks for more, which is not understood; empty where none is found.
    """

    constraints: Constraints
    left: str


_READ = "\0"
"""Stands in for each character that is read."""


@dataclass(frozen=True, slots=True)
class Language:
    """How a language asks for something.

    Attributes:
        rules: What can be read.
        asks_more: What tells that more is asked for, in what is left.
        lead: What belongs to a constraint when it stands directly before it, such as "your answer should be".
        is_order: Whether what a match says is asked of the answer.
        further: Returns what else is asked for, of what is left.
    """

    rules: Sequence[Rule]
    asks_more: re.Pattern[str]
    lead: str
    is_order: IsOrder
    further: Callable[[str], str]


def recognise(text: str, language: Language) -> Recognised:
    """Read what a prompt asks for."""
    found: list[Found] = []
    left = text
    for pattern, read in language.rules:
        for match in pattern.finditer(left):
            if language.is_order(text, match) and (asked := read(match)) is not None:
                found.append(asked)
                left = left[: match.start()] + _READ * len(match[0]) + left[match.end() :]
    left = re.sub(rf"(?:{language.lead})\s*(?={_READ})", "", left, flags=re.IGNORECASE).replace(_READ, " ")
    merged, clash = merge(found)
    more = language.asks_more.search(left)
    return Recognised(merged, clash or (more[0].strip() if more else language.further(left)))


def merge(found: Sequence[Found]) -> tuple[Constraints, str]:
    """Join constraints into one; a second word on the same thing is a clash, but for lists of words."""
    joined: dict[str, Any] = {}
    for one in found:
        for name, value in one.items():
            if name in ("required", "forbidden", "formats"):
                joined[name] = [*joined.get(name, ()), *value]
            elif name in joined and joined[name] != value:
                both = joined[name]
                if not (isinstance(both, dict) and isinstance(value, dict) and not both.keys() & value.keys()):
                    return Constraints.model_validate({**joined, name: None}), f"two words on {name}"
                joined[name] = {**both, **value}
            else:
                joined[name] = value
    return Constraints.model_validate(joined), ""
