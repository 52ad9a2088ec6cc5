"""What an answer's code must not use, because it could decide its own tests or needs what the sandbox refuses.

This module runs in the child process, on the standard library alone. It keeps code from passing its tests by the usual
tricks. It is no proof: tests and code share one interpreter. That the code can harm nothing is up to `lock`.
"""

import ast
import builtins
import re
import sys
from collections.abc import Iterator
from types import ModuleType


def _words(text: str, form: str = "{}") -> frozenset[str]:
    return frozenset(form.format(word) for word in text.split())


MODULES = _words("""
    __future__ abc array base64 binascii bisect calendar cmath collections collections.abc contextlib copy csv
    dataclasses datetime decimal difflib enum fractions functools graphlib hashlib heapq html io itertools json math
    numbers operator pprint queue random re statistics string struct sys textwrap time types typing unicodedata
    warnings zlib
""")
"""The modules that code and tests may import."""
_NAMES = _words("open eval exec compile globals locals vars getattr setattr delattr breakpoint memoryview")
_ATTRIBUTES = _words("""
    modules settrace setprofile gi_frame gi_code cr_frame ag_frame tb_frame tb_next f_back f_globals f_locals f_builtins
    f_code attrgetter methodcaller get_field get_type_hints FileIO open displayhook excepthook _getframe builtins codecs
    os _os exec eval getattr setattr delattr raw detach new_class prepare_class make_dataclass
""")
_PLAIN = _words(
    """
    future init name main doc class str repr len iter next getitem setitem delitem call enter exit all slots post_init
    reversed missing new
    """,
    "__{}__",
)
"""Names with two underscores on both sides that neither reach other objects nor decide how one compares or computes."""
_DUNDER = re.compile(r"__\w+__")


def refused(code: ast.Module, tests: ast.Module) -> str:
    """Return what the code uses that it must not, and nothing where there is no such thing."""
    aliases = {name: module for node in ast.walk(code) for name, module in _imported(node)}
    for node in ast.walk(code):
        for problem in (*_of_name(node), *_of_type(node), *_of_import(node), *_of_module(node, aliases)):
            return problem
    redefined = sorted(_bound(code) & _read(tests) & set(dir(builtins)))
    return f"redefines {redefined[0]}, which its tests use" if redefined else ""


def refused_import(tests: ast.Module) -> str:
    """Return a module that tests import and that is not there, or nothing."""
    return next((problem for node in ast.walk(tests) for problem in _of_import(node)), "")


def _of_name(node: ast.AST) -> Iterator[str]:
    """Yield what a name, an attribute, a definition or a text stands for, where that is refused."""
    names = [getattr(node, key, None) for key in ("id", "attr", "name", "value", "arg")]
    for name in names:
        if isinstance(name, str) and _DUNDER.fullmatch(name) and name not in _PLAIN:
            yield f"uses {name}, which could decide its tests"
    if isinstance(node, ast.Name) and node.id in _NAMES:
        yield f"uses {node.id}, which it must not"
    name = node.attr if isinstance(node, ast.Attribute) else node.name if isinstance(node, ast.alias) else ""
    if name in _ATTRIBUTES:
        yield f"uses {name}, which could decide its tests"


def _of_type(node: ast.AST) -> Iterator[str]:
    """Yield that a class is made of a mapping, whose names may be put together from parts."""
    if isinstance(node, ast.Call) and _is_type(node.func):
        is_made = len(node.args) != 1 or isinstance(node.args[0], ast.Starred) or bool(node.keywords)
    else:
        named = node.bases if isinstance(node, ast.ClassDef) else [getattr(node, "value", None)]
        is_made = not isinstance(node, ast.Subscript | ast.Attribute) and any(map(_is_type, named))
    if is_made:
        yield "makes a class by type, which could decide its tests"


def _is_type(node: object) -> bool:
    return isinstance(node, ast.Name) and node.id == "type"


def _of_import(node: ast.AST) -> Iterator[str]:
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
    names += [node.module or "."] if isinstance(node, ast.ImportFrom) else []
    yield from (f"imports {name}, which the sandbox does not have" for name in names if name not in MODULES)


def _imported(node: ast.AST) -> Iterator[tuple[str, ModuleType]]:
    """Yield the names that an import gives to modules."""
    for alias in node.names if isinstance(node, ast.Import) else ():
        if (module := sys.modules.get(alias.name.partition(".")[0])) is not None:
            yield alias.asname or alias.name.partition(".")[0], module


def _of_module(node: ast.AST, aliases: dict[str, ModuleType]) -> Iterator[str]:
    """Yield that a module is changed, or that another one is reached through it."""
    if isinstance(node, ast.ImportFrom) and (module := sys.modules.get(node.module or "")) is not None:
        reached = [(node.module, alias.name, getattr(module, alias.name, None)) for alias in node.names]
    elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in aliases:
        if not isinstance(node.ctx, ast.Load):
            yield f"changes {node.value.id}.{node.attr}, which could decide its tests"
        reached = [(node.value.id, node.attr, getattr(aliases[node.value.id], node.attr, None))]
    else:
        return
    for owner, name, value in reached:
        if isinstance(value, ModuleType) and value.__name__ not in MODULES:
            yield f"uses {owner}.{name}, which could decide its tests"


def _bound(tree: ast.Module) -> set[str]:
    """Return the names that code defines, imports, captures or sets, wherever."""
    nodes = list(ast.walk(tree))
    # Functions, classes, imports, handlers and patterns have a name, and a pattern of a mapping has its rest.
    named = {getattr(node, "asname", None) or getattr(node, key, None) for node in nodes for key in ("name", "rest")}
    stored = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return stored | {name for name in named if isinstance(name, str)}


def _read(tree: ast.Module) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
