"""Rules for answers by name: ours, and functions in a file next to the recipe."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

from kasasagi.blocks.canonical import digest_file
from kasasagi.blocks.own.python import verdict
from kasasagi.blocks.own.registry import Registry
from kasasagi.tasks.text import self_reference
from kasasagi.tasks.text.response_rules import RULES, Answer, Broken, ResponseRule
from kasasagi.tasks.text.self_reference.cutoff_date import cutoff_date
from kasasagi.tasks.text.self_reference.provider_identity import provider_identity
from kasasagi.tasks.text.self_reference.unmarked_thinking import unmarked_thinking


def _own_rule(name: str, function: Callable[[Answer], object]) -> ResponseRule:
    return ResponseRule(name, partial(verdict, function))


def _self_reference(reason: str, find: Callable[[str, str], str | None]) -> ResponseRule:
    """Return a rule that an answer breaks where its own words are found to say something of its model."""

    def test(answer: Answer) -> str | None:
        found = find(answer.instruction, answer.content)
        return None if found is None else f"the answer says {found!r}"

    return ResponseRule(reason, test)


SELF_REFERENCE: Mapping[str, ResponseRule] = MappingProxyType(
    {
        "no_provider_identity": _self_reference("provider_identity", provider_identity),
        "no_cutoff_date": _self_reference("cutoff_date", cutoff_date),
        "no_thinking_leak": _self_reference("thinking_leak", unmarked_thinking),
    }
)
"""Rules that no recipe has by default. `Stage.version` does not count their changes: see `rule_key_parts`."""

ALL_RULES: Mapping[str, ResponseRule] = MappingProxyType({**RULES, **SELF_REFERENCE})
ANSWER_RULES = Registry("rule for answers", ALL_RULES, _own_rule)
AnswerRules = Sequence[tuple[str, ResponseRule]]
AnswerRule = Annotated[str, ANSWER_RULES]


def answer_rules(names: Sequence[str], base: Path) -> AnswerRules:
    """Return the rules of some names.

    Raises:
        OwnPythonError: For a user's own that cannot be loaded.
    """
    return [(name, ANSWER_RULES.find(name, base)) for name in names]


def rule_key_parts(names: Sequence[str], base: Path) -> list[str]:
    """Return what decides the outcome of rules besides their names, for cache keys.

    These are the digests of a user's own files, and of our modules where one of `SELF_REFERENCE` is named.
    """
    modules = sorted(Path(str(self_reference.__file__)).parent.glob("*.py")) if set(names) & set(SELF_REFERENCE) else []
    return [*ANSWER_RULES.key_parts(names, base), *map(digest_file, modules)]


def broken_rule(rules: AnswerRules, answer: Answer) -> Broken | None:
    """Return the first of some rules that an answer breaks, None where it keeps them all."""
    for name, rule in rules:
        if (detail := rule.test(answer)) is not None:
            return Broken(name, rule.reason, detail)
    return None
