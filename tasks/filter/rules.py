"""Our rules, as data: a name, parameters, and the SQL that a row must satisfy; a new rule is a new entry."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any


class FilterError(ValueError):
    """A rule or predicate that cannot be run: the value, the reason and the remedy in one sentence."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: SQL over a row of `prompts` that holds where it is true or NULL, and SQL text for what was found.

    `$name` in either is a parameter; parameters gives each one's type, and the first may stand alone in a recipe. A
    table without one of the `needs` columns satisfies the rule.
    """

    name: str
    holds: str
    found: str
    parameters: Mapping[str, type] = field(default_factory=dict)
    needs: tuple[str, ...] = ("instruction",)


_SENTENCE_END = r"""[。．.？?！!][」』）)”’"''》】]*[\s　]*$"""
_RULES = (
    Rule(
        "finished",
        "finish_reason = 'stop'",
        "'finish_reason is ' || finish_reason",
        needs=("finish_reason",),
    ),
    Rule(
        "min_chars",
        "length(instruction) >= $characters",
        "length(instruction) || ' characters, fewer than ' || $characters",
        {"characters": int},
    ),
    Rule(
        "max_chars",
        "length(instruction) <= $characters",
        "length(instruction) || ' characters, more than ' || $characters",
        {"characters": int},
    ),
    Rule(
        "ends_as_a_sentence",
        f"regexp_matches(instruction, '{_SENTENCE_END}')",
        "'ends with ' || right(rtrim(instruction), 10)",
    ),
)
RULES: Mapping[str, Rule] = {rule.name: rule for rule in _RULES}


def bind(rule: Rule, value: Any) -> dict[str, Any]:
    """A rule's parameters by name, from what the recipe gives it. Raises FilterError where they do not fit."""
    names = list(rule.parameters)
    given = value if isinstance(value, dict) else {} if value is None or (value is True and not names) else None
    if given is None:
        given = {names[0]: value} if names else {"": value}
    for name in given:
        if name not in rule.parameters:
            raise FilterError(f"rules: {rule.name} has no parameter for {value!r}: {nearest(str(name), names)}")
    for name, kind in rule.parameters.items():
        _check(rule, name, kind, given.get(name))
    return dict(given)


def _check(rule: Rule, name: str, kind: type, value: Any) -> None:
    if type(value) is not kind or (isinstance(value, int) and value < 0):
        wanted = "a whole number, 0 or more" if kind is int else f"a value of type {kind.__name__}"
        raise FilterError(f"rules: {rule.name} is given {value!r} as {name}, but needs {wanted}: {{{rule.name}: …}}")


def nearest(value: str, known: Iterable[str]) -> str:
    """The remedy for an unknown name: the nearest known one if any is near, and all that there are."""
    names = list(known)
    match = get_close_matches(value, names, n=1, cutoff=0.5)
    there_are = f"there are {', '.join(names)}" if names else "it takes none"
    return f"did you mean {match[0]!r}? {there_are}" if match else there_are
