"""Problems of a recipe as sentences: the place, the value, the reason and the nearest valid choice."""

import re
from collections.abc import Iterator, Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from kasasagi.blocks.suggestions import remedy
from kasasagi.flows.errors import UsageError
from kasasagi.flows.recipe import pydantic_words

SHOWN_CHARACTERS = 80
_KEY = re.compile(
    r"\b((?:sk|xai|nvapi|pplx)-[A-Za-z0-9_-]{16,}|(?:hf|gsk|ghp|r8)_[A-Za-z0-9]{16,}|AIza[A-Za-z0-9_-]{20,})"
)
_KEY_NAMES = re.compile(r"^(api[-_]?key|apikey|key|token|secret|password|authorization)$", re.I)


_SECRET = ("api_key_env", "base_url")
"""Ends of places whose values may hold a secret."""
_NAMES_VALUE = re.compile(r"['\"\[{]|-?[0-9]|(?:null|true|false)\b")
"""The beginning of a message that names the value itself."""


class RecipeError(UsageError):
    """A recipe that cannot be run as it is; what looks like an API key is not repeated."""

    def __init__(self, message: str) -> None:
        super().__init__(_KEY.sub("***", message))


def nearest(name: str, choices: Sequence[str]) -> str:
    """Return the end of a sentence that names the nearest valid choice, or all of a few."""
    return f"; {remedy(str(name), sorted(map(str, choices)))}" if choices else ""


def literal_keys(data: Any) -> list[str]:
    """Return one sentence for each value that is an API key itself; the key is not repeated."""
    return [
        f"{place}: this is an API key itself, and a recipe holds no keys: put it into an environment variable "
        "and name that variable in the model's api_key_env"
        for place, name, value in _texts(data, "")
        if _KEY.search(value) or (_KEY_NAMES.match(name) and value)
    ]


def _texts(data: Any, place: str) -> Iterator[tuple[str, str, str]]:
    if isinstance(data, Mapping):
        for name, value in data.items():
            where = f"{place}.{name}" if place else str(name)
            if isinstance(name, str) and _KEY.search(name):
                yield where, "", name
            if isinstance(value, str):
                # A mapping of columns or filters may well call something "key" or "token".
                is_model = place.startswith("models.")
                yield where, str(name) if is_model else "", value
            else:
                yield from _texts(value, where)
    elif isinstance(data, list | tuple):
        for index, value in enumerate(data):
            yield from _texts({index: value}, place)


def sentences(error: ValidationError, root: type[BaseModel]) -> list[str]:
    """Return one sentence for each problem that pydantic found."""
    problems = _by_place(error.errors(), root)
    deeper = [place for place, found in problems.items() if place]
    return [
        sentence
        for place, found in problems.items()
        for sentence in _sentences(place, found, root, any(other.startswith(f"{place}.") for other in deeper))
    ]


def _by_place(errors: Sequence[Mapping[str, Any]], root: type[BaseModel]) -> dict[str, list[Mapping[str, Any]]]:
    """Return the problems at each place: a value that may have several types has one for each."""
    places: dict[str, list[Mapping[str, Any]]] = {}
    for problem in errors:
        places.setdefault(_place(root, problem["loc"]), []).append(problem)
    return places


def _sentences(
    place: str, problems: Sequence[Mapping[str, Any]], root: type[BaseModel], wrong_within: bool
) -> list[str]:
    """Return the sentences about a place; that it has another type goes unsaid where one type fits better.

    That is where what is wrong lies within the value, or is something else than its type.
    """
    types = [problem for problem in problems if problem["type"] in pydantic_words.TYPES]
    # An entry that is wrong is not counted, so that a list of it alone seems too short as well.
    unsaid = [*types, *(problem for problem in problems if wrong_within and problem["type"] == "too_short")]
    others = [problem for problem in problems if problem not in unsaid]
    if unsaid and not types and not others:
        return []
    if not types or others or (wrong_within and len({problem["type"] for problem in types}) == 1):
        return list(dict.fromkeys(_sentence(problem, root) for problem in others))
    kinds, value = [problem["type"] for problem in types], types[0]["input"]
    return [f"{place or 'the recipe'}: {_value(place, value)} {pydantic_words.types(kinds, value)}"]


def _sentence(problem: Mapping[str, Any], root: type[BaseModel]) -> str:
    location, kind = tuple(problem["loc"]), problem["type"]
    place = _place(root, location)
    special = _SPECIAL.get(kind)
    if special is not None:
        return special(problem, root, place)
    words = pydantic_words.words(kind, problem.get("ctx", {}), problem["input"])
    if words is not None:
        return f"{place or 'the recipe'}: {_value(place, problem['input'])} {words}"
    message = str(problem["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")
    message = message[:1].lower() + message[1:]
    message = message.removeprefix(f"{place.rpartition('.')[2]}: ")
    if place.endswith(_SECRET) or _NAMES_VALUE.match(message):
        return f"{place}: {message}"
    return f"{place or 'the recipe'}: {shown(problem['input'])} is not valid: {message}"


def _value(place: str, value: Any) -> str:
    """Return a value as a recipe writes it; what may hold a secret is not repeated."""
    if place.endswith(_SECRET):
        return "the value"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return shown(value)


def _unknown_key(problem: Mapping[str, Any], root: type[BaseModel], place: str) -> str:
    name = str(problem["loc"][-1])
    return f"{place}: {name!r} is not a key here{nearest(name, _fields_at(root, problem['loc'][:-1]))}"


def _missing_key(problem: Mapping[str, Any], root: type[BaseModel], place: str) -> str:
    return f"{place}: this key is missing ({_description(root, problem['loc'])})"


def _missing_kind(problem: Mapping[str, Any], root: type[BaseModel], place: str) -> str:
    kinds = ", ".join(_kinds(root, problem["loc"]))
    return f"{place}.kind: this key is missing; use one of {kinds}"


def _unknown_kind(problem: Mapping[str, Any], root: type[BaseModel], place: str) -> str:
    tags = re.findall(r"'([^']+)'", str(problem["ctx"]["expected_tags"]))
    return f"{place}.kind: {problem['ctx']['tag']!r} is not a kind{nearest(problem['ctx']['tag'], tags)}"


def _no_choice(problem: Mapping[str, Any], root: type[BaseModel], place: str) -> str:
    choices = re.findall(r"'([^']+)'", str(problem["ctx"]["expected"]))
    return f"{place}: {shown(problem['input'])} is not allowed{nearest(str(problem['input']), choices)}"


_SPECIAL = {
    "extra_forbidden": _unknown_key,
    "missing": _missing_key,
    "union_tag_not_found": _missing_kind,
    "union_tag_invalid": _unknown_kind,
    "literal_error": _no_choice,
}


def _kinds(root: type[BaseModel], location: Sequence[Any]) -> list[str]:
    current: Any = root
    for _, current, _ in _steps(root, location):  # noqa: B007 - the last one is wanted
        pass
    return [str(_tag(choice)) for choice in get_args(_bare(current)) if _tag(choice)]


def shown(value: Any) -> str:
    """Return a value as a sentence shows it: short, and on one line."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):
        text = f"this {type(value).__name__}"
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…"


def _steps(root: type[BaseModel], location: Sequence[Any]) -> Iterator[tuple[Any, Any, bool]]:
    """Yield each part of a location, what type stands there, and whether it is a place and not a union's tag."""
    current: Any = root
    for part in location:
        current = _bare(current)
        if isinstance(current, type) and issubclass(current, BaseModel):
            field = current.model_fields.get(str(part))
            current = field.annotation if field else None
            if field and field.discriminator:
                current = Annotated[current, field]
            yield part, current, True
        elif get_origin(current) in (Union, UnionType):
            tagged = [choice for choice in get_args(current) if part in {_tag(choice), getattr(choice, "__name__", "")}]
            current = tagged[0] if tagged else None
            yield part, current, False
        elif get_origin(current) in (dict, list, tuple, set, frozenset) and get_args(current):
            arguments = [argument for argument in get_args(current) if argument is not Ellipsis]
            current = arguments[-1]
            yield part, current, True
        else:
            yield part, None, True


def _bare(annotation: Any) -> Any:
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (Union, UnionType):
        choices = [choice for choice in get_args(annotation) if choice is not type(None)]
        return choices[0] if len(choices) == 1 else annotation
    return annotation


def _tag(choice: Any) -> Any:
    if isinstance(choice, type) and issubclass(choice, BaseModel) and "kind" in choice.model_fields:
        return get_args(choice.model_fields["kind"].annotation)[0]
    return None


def _place(root: type[BaseModel], location: Sequence[Any]) -> str:
    return ".".join(str(part) for part, _, is_place in _steps(root, location) if is_place)


def _fields_at(root: type[BaseModel], location: Sequence[Any]) -> list[str]:
    current: Any = root
    for _, current, _ in _steps(root, location):  # noqa: B007 - the last one is wanted
        pass
    bare = _bare(current)
    return list(bare.model_fields) if isinstance(bare, type) and issubclass(bare, BaseModel) else []


def _description(root: type[BaseModel], location: Sequence[Any]) -> str:
    parent: Any = root
    for _, parent, _ in _steps(root, location[:-1]):  # noqa: B007 - the last one is wanted
        pass
    bare = _bare(parent)
    if isinstance(bare, type) and issubclass(bare, BaseModel) and str(location[-1]) in bare.model_fields:
        text = bare.model_fields[str(location[-1])].description or str(location[-1])
        return text[:1].lower() + text[1:].rstrip(".")
    return str(location[-1])
