"""A user's own rules: functions of a row, in a Python file next to the recipe."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from kasasagi.blocks.own.python import OwnPythonError, own_file, own_object
from kasasagi.tasks.filter.rules.registry import FilterError
from kasasagi.tasks.filter.steps import Step


def rule_file(step: Step, base: Path) -> Path:
    """Return the Python file of an own rule, in the recipe's folder.

    Raises:
        FilterError: If there is none.
    """
    try:
        return own_file(step.name, base)
    except OwnPythonError as error:
        raise FilterError(f"rules: {error}") from error


def rule_function(step: Step, base: Path) -> Callable[..., Any]:
    """Return the function of an own rule, from its file alone.

    Raises:
        FilterError: If the file or the name does not load.
    """
    try:
        return cast("Callable[..., Any]", own_object(step.name, base))
    except OwnPythonError as error:
        raise FilterError(f"rules: {error}") from error
