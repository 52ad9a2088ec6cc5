"""Python that a user writes: a function or a class in a file of the recipe's folder, named by its dotted path."""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.abc import Loader
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import numpy as np

from kasasagi.blocks.canonical import SURROGATES, digest_bytes
from kasasagi.blocks.suggestions import nearest

FORMER = ("hina", "hina.world", "hina.world.oracle")


class OwnPythonError(ValueError):
    """A dotted path that leads to nothing that can be run."""


def is_own(name: str) -> bool:
    """Return whether a name in a recipe is the dotted path of a user's own."""
    return "." in name or ":" in name


def short_name(name: str) -> str:
    """Return the last part of a dotted path, by which a user's own is counted and shown."""
    return name.replace(":", ".").rpartition(".")[2]


def own_file(name: str, base: Path) -> Path:
    """Return the Python file of a dotted path.

    Args:
        name: The dotted path, relative to the recipe's folder.
        base: The recipe's folder.

    Raises:
        OwnPythonError: If there is no such file, or if it is outside of the recipe's folder.
    """
    module, attribute = _parts(name)
    path = base.joinpath(*module.split(".")).with_suffix(".py")
    if not module or not attribute or not path.is_file():
        there = sorted(file.stem for file in base.glob("*.py"))
        raise OwnPythonError(f"{name!r} names no file {path}: {nearest(module, there)}")
    if not path.resolve().is_relative_to(base.resolve()):
        raise OwnPythonError(
            f"{name!r} names {path.resolve()}, which is not in the recipe's folder {base.resolve()}: "
            "Python outside of it is never run, so copy the file there"
        )
    return path


def own_object(name: str, base: Path, kind: str = "function") -> Any:
    """Return the function or class that a dotted path names, from its file alone.

    Args:
        name: The dotted path, relative to the recipe's folder.
        base: The recipe's folder.
        kind: What is looked for, as the error calls it: function or class.

    Raises:
        OwnPythonError: If the file or the name cannot be loaded.
    """
    path = own_file(name, base)
    module = _load(path, name)
    attribute = _parts(name)[1]
    found = getattr(module, attribute, None)
    if not callable(found) or (kind == "class" and not isinstance(found, type)):
        names = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise OwnPythonError(f"{path} has no {kind} {attribute!r}: {nearest(attribute, names)}")
    return found


def verdict(function: Callable[..., Any], row: Any, **parameters: Any) -> str | None:
    """Return what a user's rule found wrong with a row or an answer, None where it may stay.

    True and None keep; False, a text and an exception reject.
    """
    try:
        result = function(row, **parameters)
    except Exception as error:
        return SURROGATES.sub("\ufffd", f"error: {type(error).__name__}: {error}")
    if isinstance(result, str):
        return SURROGATES.sub("\ufffd", result)
    if result is None:
        return None
    if isinstance(result, bool | np.bool_):
        return None if result else "it returned false"
    return f"error: it returned {type(result).__name__}, not true, false or a text"


def _parts(name: str) -> tuple[str, str]:
    module, _, attribute = name.replace(":", ".").rpartition(".")
    return module, attribute


class _TextLoader(SourceFileLoader):
    """Reads a file's text, and never its bytecode: that stays for a text of the same length and second."""

    def get_code(self, fullname: str) -> CodeType:
        """Compile the file's text."""
        return self.source_to_code(self.get_data(self.path), self.path)


def _load(path: Path, name: str) -> ModuleType:
    """Return a file as a module under a private name, run again only when its text changed."""
    private = f"_kasasagi_rules_{digest_bytes(str(path.resolve()).encode() + path.read_bytes())}"
    if private in sys.modules:
        return sys.modules[private]
    loader = _TextLoader(private, str(path))
    spec = importlib.util.spec_from_loader(private, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[private] = module
    try:
        _execute(loader, module)
    except Exception as error:
        del sys.modules[private]
        raise OwnPythonError(f"{path} cannot be loaded ({type(error).__name__}: {error}): fix it") from error
    return module


def _execute(loader: Loader, module: ModuleType) -> None:
    """Run a module's code, also where it imports hina by its former name."""
    try:
        loader.exec_module(module)
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] != "hina":
            raise
        with _former_names():
            loader.exec_module(module)


@contextmanager
def _former_names() -> Iterator[None]:
    """Offer hina under its former name: copies of the quickstart's rule from version 0.1.0 import it so."""
    before = {name: sys.modules.get(name) for name in FORMER}
    try:
        sys.modules.update({name: importlib.import_module(f"kasasagi.{name}") for name in FORMER})
        yield
    finally:
        for name, module in before.items():
            sys.modules.pop(name, None)
            if module is not None:
                sys.modules[name] = module
