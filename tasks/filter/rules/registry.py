"""Our rules, as data: a name, parameters, and what a row must satisfy, in SQL or Python; a new rule is a new entry."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kasasagi.blocks.suggestions import nearest
from kasasagi.tasks.filter.rules.answered import answer_inside
from kasasagi.tasks.filter.rules.personal import KINDS, personal_data
from kasasagi.tasks.filter.rules.presumed import missing_context, private_life
from kasasagi.tasks.filter.rules.texts import language, odd_script, repetition, stopped_by, template_leak
from kasasagi.tasks.text.endings import ENDED


class FilterError(ValueError):
    """A rule or predicate that cannot be run: the value, the reason and the remedy in one sentence."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A rule's parameter: what fits, in words and as a test, and its value where the recipe says nothing."""

    wanted: str
    fits: Callable[[Any], bool]
    example: str
    default: Any = None
    required: bool = True


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: SQL over a row of `prompts` that holds where it is true or NULL, and SQL text for what was found.

    `$name` in either is a parameter; the first may stand alone in a recipe. In place of SQL a rule may have `finds`, a
    function of the `needs` columns' values and the parameters that gives None where the row holds and else what was
    found; it is not asked about rows where one of the values is null. A table without one of the `needs` columns
    satisfies the rule.
    """

    name: str
    holds: str = ""
    found: str = ""
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    needs: tuple[str, ...] = ("instruction",)
    finds: Callable[..., str | None] | None = None


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_share(value: Any) -> bool:
    return type(value) in {int, float} and 0 <= value <= 1


def _one_or_more(known: Iterable[str]) -> Callable[[Any], bool]:
    """Return the test of a value that is one of the known ones, or a list of some."""
    names = set(known)

    def fits(value: Any) -> bool:
        values = value if isinstance(value, list | tuple) else [value]
        return bool(values) and all(isinstance(one, str) and one in names for one in values)

    return fits


def _is_text_list(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)


_CHARACTERS = {"characters": Parameter("a whole number, 0 or more", _is_count, "10")}
_SENTENCE_END = r"""[。．.？?！!][」』）)”’"''》】]*[\s　]*$"""
_RULES = (
    Rule(
        "finished",
        f"lower(finish_reason) IN ({', '.join(repr(one) for one in sorted(one for one in ENDED if one is not None))})",
        "'finish_reason is ' || finish_reason",
        needs=("finish_reason",),
    ),
    Rule(
        "min_chars",
        "length(instruction) >= $characters",
        "length(instruction) || ' characters, fewer than ' || $characters",
        _CHARACTERS,
    ),
    Rule(
        "max_chars",
        "length(instruction) <= $characters",
        "length(instruction) || ' characters, more than ' || $characters",
        _CHARACTERS,
    ),
    Rule(
        "ends_as_a_sentence",
        f"regexp_matches(instruction, '{_SENTENCE_END}')",
        "'ends with ' || right(rtrim(instruction), 10)",
    ),
    Rule(
        "language",
        parameters={
            "languages": Parameter("en, ja or other, or a list of them", _one_or_more(("en", "ja", "other")), "ja")
        },
        finds=language,
    ),
    Rule("repetition", finds=repetition),
    Rule("template_leak", finds=template_leak),
    Rule("answer_inside", finds=answer_inside),
    Rule("private_life", finds=private_life),
    Rule("missing_context", needs=("instruction", "messages"), finds=missing_context),
    Rule(
        "odd_script",
        parameters={"kana_share": Parameter("a share from 0 to 1", _is_share, "0.1", 0.1, required=False)},
        finds=odd_script,
    ),
    Rule(
        "stopped_by",
        parameters={
            "ends": Parameter("a list of stop strings that end a turn", _is_text_list, "[END]", (), required=False)
        },
        needs=("stop_reason",),
        finds=stopped_by,
    ),
    Rule(
        "personal_data",
        parameters={
            "kinds": Parameter(
                f"some of {', '.join(KINDS)}",
                _one_or_more(KINDS),
                f"[{next(iter(KINDS))}]",
                tuple(KINDS),
                required=False,
            )
        },
        needs=("messages",),
        finds=personal_data,
    ),
)
RULES: Mapping[str, Rule] = {rule.name: rule for rule in _RULES}


def bind(rule: Rule, value: Any) -> dict[str, Any]:
    """Return a rule's parameters by name, from what the recipe gives it.

    Raises:
        FilterError: If they do not fit.
    """
    names = list(rule.parameters)
    required = any(parameter.required for parameter in rule.parameters.values())
    arguments = value if isinstance(value, dict) else {} if value is None or (value is True and not required) else None
    if arguments is None:
        arguments = {names[0]: value} if names else {"": value}
    for name in arguments:
        if name not in rule.parameters:
            raise FilterError(
                f"rules: {rule.name} has no parameter for {value!r}: {nearest(str(name), names, 'it takes none')}"
            )
    return {name: _value(rule, name, arguments) for name in names}


def _value(rule: Rule, name: str, arguments: Mapping[str, Any]) -> Any:
    parameter = rule.parameters[name]
    value = arguments.get(name)
    if name not in arguments and not parameter.required:
        return parameter.default
    if name not in arguments:
        raise FilterError(
            f"rules: {rule.name!r} has no value; write {parameter.wanted}, e.g. {{{rule.name}: {parameter.example}}}"
        )
    if not parameter.fits(value):
        raise FilterError(
            f"rules: {_given(value)} is not {parameter.wanted}; write {{{rule.name}: {parameter.example}}}"
        )
    return value


def _given(value: Any) -> str:
    """Return a value as a recipe writes it."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)
