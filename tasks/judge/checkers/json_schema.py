"""The checker `json`: whether an answer is JSON that fits a schema."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from kasasagi.tasks.judge.checkers.model import Case, Finding, cannot_tell, correct, incorrect
from kasasagi.tasks.judge.checkers.regex import matches

_FENCE = re.compile(r"^(`{3,}|~{3,})[ \t]*(\w*)[ \t]*\n(.*?)\n?^\1[ \t]*$", re.DOTALL | re.MULTILINE)
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
        return cannot_tell("the response holds several JSON texts, or words around one without a fence")
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
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        problem = str(error)
    fences = [one[3] for one in _FENCE.finditer(text) if one[2].lower() in ("", "json", "jsonc", "json5")]
    if len(fences) == 1:
        try:
            return orjson.loads(fences[0])
        except orjson.JSONDecodeError as error:
            raise ValueError(f"the fence holds no JSON: {error}") from error
    if fences or (not text.startswith(("{", "[")) and re.search(r"[{\[]", text)):
        return _UNCLEAR
    raise ValueError(f"the response is no JSON: {problem}")


def _validate(value: Any, schema: Mapping[str, Any]) -> Finding:
    from jsonschema import exceptions, validators
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    if _holds_unbound(schema):
        return cannot_tell(f"the schema uses {' or '.join(_UNBOUND)}, which are not checked", "bad_truth")
    base = validators.validator_for(schema, default=validators.Draft202012Validator)
    try:
        base.check_schema(schema)
        # The empty registry keeps references within the schema: nothing is fetched.
        validator = validators.extend(base, {"pattern": _pattern})(schema, registry=Registry())
        problem = exceptions.best_match(validator.iter_errors(value))
    except exceptions.SchemaError as error:
        return cannot_tell(f"the truth is no JSON schema: {error.message[:120]}", "bad_truth")
    except (Unresolvable, exceptions._WrappedReferencingError, ValueError, RecursionError) as error:
        return cannot_tell(f"the schema cannot be checked: {str(error)[:120]}", "bad_truth")
    return (
        correct("it fits the schema") if problem is None else incorrect(f"{problem.json_path}: {problem.message[:120]}")
    )


def _holds_unbound(schema: Any) -> bool:
    if isinstance(schema, Mapping):
        return any(name in schema for name in _UNBOUND) or any(map(_holds_unbound, schema.values()))
    return isinstance(schema, list) and any(map(_holds_unbound, schema))


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[Any]:
    """The keyword `pattern`, by RE2."""
    from jsonschema import ValidationError

    if isinstance(instance, str) and not matches(pattern, instance):
        yield ValidationError(f"{instance[:60]!r} does not match {pattern[:60]!r}")
