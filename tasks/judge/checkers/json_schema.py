"""The checker `json`: whether an answer is JSON that fits a schema."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from kasasagi.tasks.judge.checkers.finding import Case, Finding, cannot_tell, correct, incorrect
from kasasagi.tasks.judge.checkers.regex import matches

_FENCE = re.compile(r"(`{3,}|~{3,})[ \t]*(\w*)[ \t\r]*\Z")
_JSON_NAMES = ("", "json", "jsonc", "json5")
_NOT_VALID = re.compile(
    r"\b(?:wrong|incorrect|invalid|bad|not|don't|instead|or)\b|\?|誤|間違|ではなく|無効|または", re.IGNORECASE
)
MOST_STEPS = 50_000
DEEPEST = 40
"""Levels of a schema, and keywords within one another: the validator may not end well where Python's stack does."""
MOST_ITEMS = 1_000
"""Of an array whose items must be unique: each is compared with each other."""
_FORMATS = frozenset(("date", "email", "ipv4", "ipv6", "uuid"))
_UNBOUND = ("patternProperties", "propertyNames")
"""Keywords whose patterns jsonschema gives to Python's own, which a bad pattern keeps busy without end."""


def check_json(case: Case) -> Finding:
    """Read the JSON of an answer, whole or in its one fence, and hold it against the schema."""
    schema = schema_of(case.truth)
    if schema is None:
        return cannot_tell("the truth is no JSON schema; it is a mapping, as {type: object, …}", "bad_truth")
    try:
        value = _value(case.answer)
    except ValueError as error:
        return incorrect(str(error))
    if value is _UNCLEAR:
        return cannot_tell("the response holds several JSON texts, or words around one that are not plain")
    return _validate(value, schema)


def schema_of(truth: Any) -> Mapping[str, Any] | None:
    """Return a schema, also one that is kept as JSON text; None for another thing."""
    if isinstance(truth, str):
        try:
            truth = orjson.loads(truth)
        except orjson.JSONDecodeError:
            return None
    return truth if isinstance(truth, Mapping) else None


_UNCLEAR: Any = object()


def _value(answer: str) -> Any:
    """Return the JSON that an answer is or holds.

    Raises:
        ValueError: If it is none.
    """
    text = answer.strip()
    try:
        return _loaded(text)
    except orjson.JSONDecodeError as error:
        problem = str(error)
    fences, around = _fences(text)
    if len(fences) == 1 and not _NOT_VALID.search(around) and not re.search(r"[{\[]", around):
        try:
            return _loaded(fences[0])
        except orjson.JSONDecodeError as error:
            raise ValueError(f"the fence holds no JSON: {error}") from error
    if fences or _begins_with_json(text) or (not text.startswith(("{", "[")) and re.search(r"[{\[]", text)):
        return _UNCLEAR
    raise ValueError(f"the response is no JSON: {problem}")


def _begins_with_json(text: str) -> bool:
    """Return whether a text is JSON up to some place, with words or more JSON behind it."""
    try:
        json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return False
    return True


def _fences(text: str) -> tuple[list[str], str]:
    """Return the fences of a text that may hold JSON, and the text around all fences."""
    found, around, mark = list[tuple[str, list[str]]](), list[str](), ""
    for line in text.split("\n"):
        if mark and line.strip() == mark:
            mark = ""
        elif mark:
            found[-1][1].append(line)
        elif fence := _FENCE.match(line):
            mark = fence[1]
            found.append((fence[2].lower(), []))
        else:
            around.append(line)
    if mark:
        around += found.pop()[1]
    return ["\n".join(lines) for language, lines in found if language in _JSON_NAMES], "\n".join(around)


def _loaded(text: str) -> Any:
    """Return a JSON text's value; unclear where an object has a key twice, of which readers take one or the other."""
    value = orjson.loads(text)
    return _UNCLEAR if has_key_twice(text) else value


def has_key_twice(text: str) -> bool:
    """Return whether an object in a JSON text has a key twice, or is nested too deep to tell."""
    doubled = list[bool]()
    try:
        json.loads(text, object_pairs_hook=lambda pairs: doubled.append(len(dict(pairs)) < len(pairs)))
    except RecursionError:
        return True
    return any(doubled)


class _TooMuchWorkError(ValueError):
    """A schema whose check takes too many steps."""


def _validate(value: Any, schema: Mapping[str, Any]) -> Finding:
    from jsonschema import exceptions
    from referencing.exceptions import Unresolvable

    if _is_deeper(schema, DEEPEST):
        return cannot_tell("the schema is nested too deep to be checked", "bad_truth")
    if used := [name for name in _UNBOUND if _holds(schema, name)]:
        return cannot_tell(f"the schema uses {used[0]}, which is not checked", "bad_truth")
    try:
        return _problem(value, schema)
    except exceptions.SchemaError as error:
        return cannot_tell(f"the truth is no JSON schema: {error.message[:120]}", "bad_truth")
    except _TooMuchWorkError as error:
        return cannot_tell(f"the response cannot be checked: {error}")
    except (Unresolvable, exceptions._WrappedReferencingError, ValueError, RecursionError, ArithmeticError) as error:
        return cannot_tell(f"the schema cannot be checked: {str(error)[:120]}", "bad_truth")


def _problem(value: Any, schema: Mapping[str, Any]) -> Finding:
    """Hold a value against a schema of a known dialect; what the schema refers to is not fetched."""
    from jsonschema import FormatChecker, exceptions, validators
    from referencing import Registry

    if not isinstance(schema.get("$schema", ""), str):
        return cannot_tell(f"the schema's dialect {schema['$schema']!r} is no address of one", "bad_truth")
    base = validators.validator_for(schema, default=None if "$schema" in schema else validators.Draft202012Validator)
    if base is None:
        return cannot_tell(f"the schema's dialect {str(schema['$schema'])[:80]!r} is not known", "bad_truth")
    base.check_schema(schema)
    formats = _FORMATS & set(base.FORMAT_CHECKER.checkers)
    keywords = _bounded({**base.VALIDATORS, "pattern": _pattern})
    validator = validators.extend(base, keywords)(schema, registry=Registry(), format_checker=FormatChecker(formats))
    problem = exceptions.best_match(validator.iter_errors(value))
    if problem is None:
        left = _formats(schema) - formats
        return cannot_tell(f"the format {min(left)} is not checked") if left else correct("it fits the schema")
    message = f"{problem.json_path}: {problem.message[:120]}"
    if problem.validator == "multipleOf" and isinstance(problem.instance, float):
        return cannot_tell(f"{message}, which may be a matter of rounding")
    return incorrect(message)


def _bounded(keywords: Mapping[str, Any]) -> dict[str, Any]:
    """Keywords that together take so many steps at most: references may branch and nest without end."""
    steps, depth = iter(range(MOST_STEPS)), list[str]()

    def counted(name: str, check: Any) -> Any:
        def step(validator: Any, asked: Any, instance: Any, schema: Any) -> Iterator[Any]:
            if next(steps, None) is None or len(depth) > DEEPEST:
                raise _TooMuchWorkError(f"it takes more than {MOST_STEPS:,} steps, or is nested too deep")
            if name == "uniqueItems" and isinstance(instance, list) and len(instance) > MOST_ITEMS:
                raise _TooMuchWorkError(f"more than {MOST_ITEMS:,} items are not compared with each other")
            depth.append(name)
            try:
                yield from check(validator, asked, instance, schema) or ()
            finally:
                depth.pop()

        return step

    return {name: counted(name, check) for name, check in keywords.items()}


def _is_deeper(value: Any, levels: int) -> bool:
    """Return whether a value is nested in more levels than so many."""
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return levels < 0 or any(_is_deeper(one, levels - 1) for one in inner)


def _formats(schema: Any) -> set[str]:
    """Return the formats that a schema asks for."""
    if isinstance(schema, Mapping):
        own = schema.get("format")
        return set([own] if isinstance(own, str) else []).union(*map(_formats, schema.values()))
    return set[str]().union(*map(_formats, schema)) if isinstance(schema, list) else set()


def _holds(schema: Any, name: str) -> bool:
    if isinstance(schema, Mapping):
        return name in schema or any(_holds(one, name) for one in schema.values())
    return isinstance(schema, list) and any(_holds(one, name) for one in schema)


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[Any]:
    """Check the keyword `pattern` by RE2."""
    from jsonschema import ValidationError

    if isinstance(instance, str) and not matches(pattern, instance):
        yield ValidationError(f"{instance[:60]!r} does not match {pattern[:60]!r}")
