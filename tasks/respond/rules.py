"""Rules for answers by name: ours, and functions in a file next to the recipe."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

from kasasagi.blocks.own.python import verdict
from kasasagi.blocks.own.registry import Registry
from kasasagi.tasks.text.response_rules import RULES, Answer, Broken, ResponseRule


def _own_rule(name: str, function: Callable[[Answer], object]) -> ResponseRule:
    return ResponseRule(name, partial(verdict, function))


ANSWER_RULES = Registry("rule for answers", RULES, _own_rule)
AnswerRules = Sequence[tuple[str, ResponseRule]]
AnswerRule = Annotated[str, ANSWER_RULES]


def answer_rules(names: Sequence[str], base: Path) -> AnswerRules:
    """Return the rules of some names.

    Raises:
        OwnPythonError: For a user's own that cannot be loaded.
    """
    return [(name, ANSWER_RULES.find(name, base)) for name in names]


def broken_rule(rules: AnswerRules, answer: Answer) -> Broken | None:
    """Return the first of some rules that an answer breaks, None where it keeps them all."""
    for name, rule in rules:
        if (detail := rule.test(answer)) is not None:
            return Broken(name, rule.reason, detail)
    return None
