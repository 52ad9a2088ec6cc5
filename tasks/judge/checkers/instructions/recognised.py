"""Constraints that a prompt states: what is recognised of it, and whether it seems to ask for more."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
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


def recognise(
    text: str, rules: Iterable[Rule], asks_more: re.Pattern[str], is_order: IsOrder, further: Callable[[str], str]
) -> Recognised:
    """Read what a prompt asks for, by the rules of a language."""
    found: list[Found] = []
    left = text
    for pattern, read in rules:
        for match in pattern.finditer(left):
            if is_order(text, match) and (asked := read(match)) is not None:
                found.append(asked)
                left = left[: match.start()] + " " * len(match[0]) + left[match.end() :]
    merged, clash = merge(found)
    more = asks_more.search(left)
    return Recognised(merged, clash or (more[0].strip() if more else further(left)))


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
