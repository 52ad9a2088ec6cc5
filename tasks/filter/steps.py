"""The rules of a filter in their order, as a recipe names them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kasasagi.blocks.own.python import is_own, short_name
from kasasagi.blocks.suggestions import remedy
from kasasagi.tasks.filter.rules.registry import RULES, FilterError, Rule, bind


@dataclass(frozen=True, slots=True)
class Step:
    """One rule of a filter: one of ours with its bound parameters, or (rule is None) the user's own by dotted path."""

    name: str
    parameters: dict[str, Any]
    rule: Rule | None

    @property
    def reason(self) -> str:
        """What a rejected row says: the rule's name, or the function's."""
        return self.name if self.rule else short_name(self.name)


def steps(rules: Sequence[str | dict[str, Any]], defaults: Sequence[str | dict[str, Any]] = ()) -> list[Step]:
    """Return the rules in the order in which they are asked: defaults that the recipe does not name, then the recipe's.

    Raises:
        FilterError: For an unknown name, a parameter that does not fit, or a reason that two rules share.
    """
    named = [_entry(entry) for entry in rules]
    known = {name for name, _ in named}
    before = [entry for entry in map(_entry, defaults) if entry[0] not in known]
    found = [_step(name, value) for name, value in [*before, *named] if value is not False]
    reasons: set[str] = set()
    for step in found:
        if step.reason in reasons:
            raise FilterError(f"rules: {step.reason!r} appears twice, so its reason would be unclear: drop one")
        reasons.add(step.reason)
    return found


def _entry(entry: str | dict[str, Any]) -> tuple[str, Any]:
    if isinstance(entry, str):
        return entry, None
    if len(entry) != 1:
        raise FilterError(f"rules: {entry!r} names {len(entry)} rules, but one entry is one rule: split it")
    return next(iter(entry.items()))


def _step(name: str, value: Any) -> Step:
    if not is_own(name):
        if name not in RULES:
            raise FilterError(
                f"rules: {name!r} is not a rule; "
                f"{remedy(name, RULES, 'module.function of your own in a file next to the recipe')}"
            )
        return Step(name, bind(RULES[name], value), RULES[name])
    if value is not None and value is not True and not isinstance(value, dict):
        raise FilterError(f"rules: {name} takes its parameters by name: write {{{name}: {{its_parameter: {value!r}}}}}")
    return Step(name, value if isinstance(value, dict) else {}, None)
