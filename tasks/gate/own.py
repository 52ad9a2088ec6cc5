"""Classes of expectations: those of Great Expectations, and a user's own from a Python file next to the recipe."""

from pathlib import Path
from typing import Any

from kasasagi.blocks import telemetry
from kasasagi.blocks.own.python import OwnPythonError, own_file, own_object
from kasasagi.tasks.gate.expectation import Expectation

SET_BY_CLASS = ("column", "column_A", "column_B", "column_list", "column_set", "mostly", "unexpected_rows_query")
_OF_THE_LIBRARY = "great_expectations."


def built(one: Expectation, arguments: dict[str, Any], base: Path) -> Any:
    """Return an expectation as an object of its Great Expectations class.

    Args:
        one: The expectation.
        arguments: The arguments to build it with.
        base: The recipe's folder, where own classes lie.

    Raises:
        OwnPythonError: If an own class cannot be loaded.
    """
    return expectation_class(one, base)(severity=one.severity, **arguments)


def expectation_class(one: Expectation, base: Path) -> Any:
    """Return the class of an expectation.

    Raises:
        OwnPythonError: If an own class cannot be loaded.
    """
    import great_expectations.expectations as gxe

    return _own_class(one.expectation, base) if one.is_own else getattr(gxe, one.expectation)


def with_own_defaults(one: Expectation, base: Path) -> Expectation:
    """Return an expectation with what its own class sets by itself: columns, `mostly`, a query.

    One whose class cannot be built is returned as it is: it fails where it is evaluated.
    """
    if not one.is_own:
        return one
    try:
        made = built(one, one.arguments, base)
    except Exception:
        return one
    values = {name: getattr(made, name, None) for name in SET_BY_CLASS}
    if values["mostly"] == 1:  # what a class has that says nothing: each row counts, so nothing is relaxed
        values["mostly"] = None
    return one.with_class_defaults({name: value for name, value in values.items() if value is not None})


def class_problem(one: Expectation, base: Path) -> str | None:
    """Return why an own class cannot be used with its arguments; None where it can."""
    try:
        built(one, one.arguments, base)
    except OwnPythonError as error:
        return str(error)
    except Exception as error:
        words = "; ".join(line.strip() for line in str(error).splitlines() if line.strip())
        return f"{one.expectation!r} cannot be built ({type(error).__name__}: {words}): fix the class or its arguments"
    return None


def _own_class(name: str, base: Path) -> Any:
    """Load an own class and make Great Expectations find it by its name.

    Great Expectations knows a class by its bare name alone, so a file must not take the place of a class of the library
    or of another recipe.
    """
    telemetry.switch_off_telemetry()
    from great_expectations.expectations import registry
    from great_expectations.expectations.expectation import Expectation as Base

    known = dict(registry._registered_expectations)
    try:
        found = own_object(name, base, "class")
    finally:
        registry._registered_expectations.update(known)
    if not issubclass(found, Base) or found.is_abstract():
        raise OwnPythonError(f"{name!r} in {own_file(name, base)} is not a class of an expectation: derive it from one")
    former = known.get(found.expectation_type)
    if former is not None and former is not found and former.__module__.startswith(_OF_THE_LIBRARY):
        raise OwnPythonError(f"{name!r} bears the name of a class of Great Expectations: give it a name of its own")
    registry._registered_expectations[found.expectation_type] = found
    return found
