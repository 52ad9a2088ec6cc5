"""A user's own rules: functions of a row, in a Python file beside the recipe."""

import importlib.util
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import numpy as np

from blocks.canonical import digest_bytes
from blocks.nearest import nearest
from tasks.filter.config import Step
from tasks.filter.rules import FilterError
from tasks.load.text import SURROGATES


def rule_file(step: Step, base: Path) -> Path:
    """The Python file of an own rule. Raises FilterError where there is none."""
    module, function = _parts(step.name)
    path = base.joinpath(*module.split(".")).with_suffix(".py")
    if not module or not function or not path.is_file():
        there = sorted(file.stem for file in base.glob("*.py"))
        raise FilterError(f"rules: {step.name!r} names no file {path}: {nearest(module, there)}")
    return path


def rule_function(step: Step, base: Path) -> Callable[..., Any]:
    """The function of an own rule, from its file alone. Raises FilterError where the file or the name does not load."""
    path = rule_file(step, base)
    module = _load(path, step)
    name = _parts(step.name)[1]
    function = getattr(module, name, None)
    if not callable(function):
        names = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise FilterError(f"rules: {path} has no function {name!r}: {nearest(name, names)}")
    return cast("Callable[..., Any]", function)


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


def _parts(name: str) -> tuple[str, str]:
    module, _, function = name.replace(":", ".").rpartition(".")
    return module, function


def _load(path: Path, step: Step) -> ModuleType:
    """A file as a module under a private name, run anew only when its text changed."""
    private = f"_kasasagi_rules_{digest_bytes(str(path.resolve()).encode() + path.read_bytes())}"
    if private in sys.modules:
        return sys.modules[private]
    spec = importlib.util.spec_from_file_location(private, path)
    if spec is None or spec.loader is None:
        raise FilterError(f"rules: {step.name!r} names {path}, which is no Python file: give it one")
    module = importlib.util.module_from_spec(spec)
    sys.modules[private] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[private]
        raise FilterError(f"rules: {path} cannot be loaded ({type(error).__name__}: {error}): mend it") from error
    return module
