"""A user's own rules: functions of a row, in a Python file beside the recipe."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np

from kasasagi.tasks.filter.rules.registry import FilterError
from kasasagi.tasks.filter.steps import Step
from kasasagi.tasks.load.text import SURROGATES
from kasasagi.tasks.own_python import OwnPythonError, own_file, own_object


def rule_file(step: Step, base: Path) -> Path:
    """The Python file of an own rule, in the recipe's folder. Raises FilterError where there is none."""
    try:
        return own_file(step.name, base)
    except OwnPythonError as error:
        raise FilterError(f"rules: {error}") from error


def rule_function(step: Step, base: Path) -> Callable[..., Any]:
    """The function of an own rule, from its file alone. Raises FilterError where the file or the name does not load."""
    try:
        return cast("Callable[..., Any]", own_object(step.name, base))
    except OwnPythonError as error:
        raise FilterError(f"rules: {error}") from error


def verdict(function: Callable[..., Any], row: dict[str, Any], parameters: Mapping[str, Any]) -> str | None:
    """None where the row stays, else what was found: True and None keep, False, a text and an exception drop."""
    try:
        said = function(row, **parameters)
    except Exception as error:
        return SURROGATES.sub("\ufffd", f"error: {type(error).__name__}: {error}")
    if isinstance(said, str):
        return SURROGATES.sub("\ufffd", said)
    if said is None:
        return None
    if isinstance(said, bool | np.bool_):
        return None if said else "it returned false"
    return f"error: it returned {type(said).__name__}, not true, false or a text"
