"""What pydantic finds wrong with a value, in words of ours: what the value is not, and what to write."""

from collections.abc import Mapping
from typing import Any

_MAPPING = "a mapping; write its keys with their values"
_LIST = "a list; write it in brackets, such as [a, b]"
_TEXT = "a text; put it in quotes"
_ONE_TEXT = "a text; write a single one, without brackets"
_WHOLE = "a whole number; write one such as 3"
_NUMBER = "a number; write one such as 0.5"
_BOOLEAN = "true or false; write one of the two"
_NOT: dict[str, str] = {
    **dict.fromkeys(("dict_type", "mapping_type", "model_type", "model_attributes_type", "dataclass_type"), _MAPPING),
    **dict.fromkeys(("list_type", "tuple_type", "set_type", "frozen_set_type", "iterable_type"), _LIST),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float", "int_parsing_size"), _WHOLE),
    **dict.fromkeys(("float_type", "float_parsing"), _NUMBER),
    **dict.fromkeys(("bool_type", "bool_parsing"), _BOOLEAN),
    **dict.fromkeys(("string_type", "string_sub_type", "string_unicode", "path_type"), _TEXT),
    "finite_number": "a finite number; write another",
    "invalid_key": "a name; write it as a text, in quotes",
}
_FORMS = {
    r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$": "up to 64 letters, digits, points, - and _, the first a letter or a digit",
    r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$": "an owner, a slash and a name, such as me/my-dataset",
    r"^((\w+[.:])*Expect\w+|UnexpectedRowsExpectation)$": "the name of an expectation, such as ExpectColumnToExist",
    r"^\w+([.:]\w+)*[.:][a-z]\w*$": "a file and a function in it, such as my_stages.shorten",
    r"^[0-9]+[hd]$": "a number and h or d, such as 24h",
    r"^/\S*$": "a path that begins with a slash, such as /classify",
    r"^[A-Za-z_]*$": "letters and _",
}
TYPES = frozenset(_NOT)
"""The kinds of problems that say that a value is of another type."""


def words(kind: str, context: Mapping[str, Any], value: Any) -> str | None:
    """Return the rest of a sentence about a value: what it is not, and what to write; None for an unknown kind.

    Args:
        kind: The problem's type, as pydantic names it.
        context: Its limits.
        value: The value.
    """
    if kind in _NOT:
        return types([kind], value)
    if (bound := _bound(kind, context)) is not None:
        return bound
    if kind == "string_pattern_mismatch":
        pattern = str(context["pattern"])
        return f"does not have the right form; write {_FORMS.get(pattern, f'a text that matches {pattern}')}"
    return _length(kind, context, value)


def types(kinds: list[str], value: Any) -> str:
    """Return the rest of a sentence about a value that has none of the types that it can have."""
    whats = list(dict.fromkeys(_NOT[kind].split(";")[0] for kind in kinds))
    if len(whats) == 1:
        several = _NOT[kinds[0]] == _TEXT and isinstance(value, list | tuple)
        return f"is not {_ONE_TEXT if several else _NOT[kinds[0]]}"
    return f"is neither {' nor '.join(whats)}; write one of these"


def _bound(kind: str, context: Mapping[str, Any]) -> str | None:
    """Return the words about a number that is too small or too large."""
    match kind:
        case "greater_than":
            return f"is too small; write a number above {context['gt']:g}"
        case "greater_than_equal":
            return f"is too small; write {context['ge']:g} or more"
        case "less_than":
            return f"is too large; write a number below {context['lt']:g}"
        case "less_than_equal":
            return f"is too large; write {context['le']:g} or less"
        case "multiple_of":
            return f"does not fit; write a multiple of {context['multiple_of']:g}"
    return None


def _length(kind: str, context: Mapping[str, Any], value: Any) -> str | None:
    """Return the words about a text or a list that is too short or too long."""
    match kind:
        case "too_short" | "string_too_short" if not value:
            return "is empty; write at least one entry" if kind == "too_short" else "is empty; write some text"
        case "too_short":
            return f"has too few entries; write {context['min_length']} or more"
        case "too_long":
            return f"has too many entries; write {context['max_length']} or fewer"
        case "string_too_short":
            return f"is too short; write {context['min_length']} characters or more"
        case "string_too_long":
            return f"is too long; write {context['max_length']} characters or fewer"
    return None
