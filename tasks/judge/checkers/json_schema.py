"""The checker `json`: whether an answer is JSON that fits a schema."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from kasasagi.tasks.judge.checkers.model import Case, Finding, cannot_tell, correct, incorrect
from kasasagi.tasks.judge.checkers.regex import matches

_FENCE = re.compile(r"^(`{3,}|~{3,})[ \t]*(\w*)[ \t]*\n(.*?)\n?^\1[ \t]*$", re.DOTALL | re.MULTILINE)
_NOT_VALID = re.compile(
    r"\b(?:wrong|incorrect|invalid|bad|not|don't|instead|or)\b|\?|誤|間違|ではなく|無効|または", re.IGNORECASE
)
MOST_STEPS = 50_000
MOST_ITEMS = 1_000
"""Of an array whose items must be unique: each is compared with each other."""
_FORMATS = frozenset(("date", "date-time", "time", "email", "ipv4", "ipv6", "uuid"))
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
    """The JSON that an answer is or holds. Raises ValueError where it is none."""
    text = answer.strip()
    try:
        return _loaded(text)
    except orjson.JSONDecodeError as error:
        problem = str(error)
    found = [*_FENCE.finditer(text)]
    fences = [one[3] for one in found if one[2].lower() in ("", "json", "jsonc", "json5")]
    around = _FENCE.sub(" ", text)
    if len(fences) == 1 and not _NOT_VALID.search(around) and not re.search(r"[{\[]", around):
        try:
            return _loaded(fences[0])
        except orjson.JSONDecodeError as error:
            raise ValueError(f"the fence holds no JSON: {error}") from error
    if fences or (not text.startswith(("{", "[")) and re.search(r"[{\[]", text)):
        return _UNCLEAR
    raise ValueError(f"the response is no JSON: {problem}")


def _loaded(text: str) -> Any:
    """A JSON text's value; unclear where an object has a key twice, of which readers take one or the other."""
    value, counts = orjson.loads(text), list[int]()

    def count(pairs: list[tuple[str, Any]]) -> None:
        counts.append(len(pairs) - len(dict(pairs)))

    if '"' in text:
        try:
            json.loads(text, object_pairs_hook=count)
        except RecursionError:
            return _UNCLEAR
    return _UNCLEAR if any(counts) else value


class _TooMuchWorkError(ValueError):
    """A schema whose check takes too many steps."""


def _validate(value: Any, schema: Mapping[str, Any]) -> Finding:
    from jsonschema import FormatChecker, exceptions, validators
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    base = validators.validator_for(schema, default=None)
    if base is None and "$schema" in schema:
        return cannot_tell(f"the schema's dialect {str(schema['$schema'])[:80]!r} is not known", "bad_truth")
    base = base or validators.Draft202012Validator
    try:
        if _holds(schema, _UNBOUND):
            return cannot_tell(f"the schema uses {' or '.join(_UNBOUND)}, which are not checked", "bad_truth")
        base.check_schema(schema)
        known = set(base.FORMAT_CHECKER.checkers)
        keywords = _bounded({**base.VALIDATORS, "pattern": _pattern})
        # The empty registry keeps references within the schema: nothing is fetched.
        validator = validators.extend(base, keywords)(
            schema, registry=Registry(), format_checker=FormatChecker(_FORMATS & known)
        )
        problem = exceptions.best_match(validator.iter_errors(value))
        if problem is None and (left := _formats(schema) - (_FORMATS & known)):
            return cannot_tell(f"the format {min(left)} is not checked")
    except exceptions.SchemaError as error:
        return cannot_tell(f"the truth is no JSON schema: {error.message[:120]}", "bad_truth")
    except (Unresolvable, exceptions._WrappedReferencingError, ValueError, RecursionError, ArithmeticError) as error:
        return cannot_tell(f"the schema cannot be checked: {str(error)[:120]}", "bad_truth")
    if problem is None:
        return correct("it fits the schema")
    if problem.validator == "multipleOf" and isinstance(problem.instance, float):
        return cannot_tell(f"{problem.json_path}: {problem.message[:120]}, which may be a matter of rounding")
    return incorrect(f"{problem.json_path}: {problem.message[:120]}")


def _bounded(keywords: Mapping[str, Any]) -> dict[str, Any]:
    """Keywords that together take so many steps at most: references may branch without end."""
    left = iter(range(MOST_STEPS))

    def counted(name: str, check: Any) -> Any:
        def step(*args: Any) -> Iterator[Any]:
            if next(left, None) is None or (
                name == "uniqueItems" and isinstance(args[2], list) and len(args[2]) > MOST_ITEMS
            ):
                raise _TooMuchWorkError(f"it takes more than {MOST_STEPS:,} steps")
            yield from check(*args) or ()

        return step

    return {name: counted(name, check) for name, check in keywords.items()}


def _formats(schema: Any) -> set[str]:
    """The formats that a schema asks for."""
    if isinstance(schema, Mapping):
        own = schema.get("format")
        return set([own] if isinstance(own, str) else []).union(*map(_formats, schema.values()))
    return set[str]().union(*map(_formats, schema)) if isinstance(schema, list) else set()


def _holds(schema: Any, names: Sequence[str]) -> bool:
    if isinstance(schema, Mapping):
        return any(name in schema for name in names) or any(_holds(one, names) for one in schema.values())
    return isinstance(schema, list) and any(_holds(one, names) for one in schema)


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[Any]:
    """The keyword `pattern`, by RE2."""
    from jsonschema import ValidationError

    if isinstance(instance, str) and not matches(pattern, instance):
        yield ValidationError(f"{instance[:60]!r} does not match {pattern[:60]!r}")
