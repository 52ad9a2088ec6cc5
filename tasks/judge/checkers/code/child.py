"""Run an answer's code and its tests in this process, once it is locked, and report how that ends.

This module runs in the child process, on the standard library alone. What it reports is a line of JSON on the standard
output that it was started with; the code's own output is dropped. A pass counts only with the secret that the parent
has written behind the program: it is read when the tests are done, so that no code of the answer has seen it.
"""

import ast
import builtins
import codecs
import importlib
import json
import os
import random
from types import CodeType
from typing import Any

from kasasagi.tasks.judge.checkers.code.lock import limit, lock
from kasasagi.tasks.judge.checkers.code.screen import refused, refused_import

SECRET_BYTES = 32
LENGTH_BYTES = 8
_COUNT = "__count_assertion__"
_ENCODINGS = [
    "ascii",
    "latin_1",
    "cp1252",
    "utf_8_sig",
    "utf_16",
    "utf_16_le",
    "utf_16_be",
    "utf_32",
    "shift_jis",
    "cp932",
    "euc_jp",
    "iso2022_jp",
]
_ALSO = {
    "collections": ("heapq", "copy"),
    "datetime": ("_strptime",),
    "functools": ("types", "typing", "weakref"),
    "re": ("unicodedata",),
    "time": ("_strptime",),
}
"""Modules that others import only when they are used, which is too late here."""
_PARSER = "unicodedata"
"""What Python's own parser imports for names such as `結果` and texts such as `\\N{SNOWMAN}`."""


class _UnclearError(Exception):
    """Nothing can be said of the code, with a reason for machines."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def main() -> None:
    """Read a program, run it and report."""
    commands, report = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nothing, stream)
    length = int.from_bytes(_read(commands, LENGTH_BYTES), "big")
    program = json.loads(_read(commands, length))
    for name in (_PARSER, *program["modules"]):
        for also in (name, *_ALSO.get(name, ())):
            importlib.import_module(also)
    for name in _ENCODINGS:
        codecs.lookup(name)
    limit(*program["seconds"])
    if problem := lock():
        _write(report, {"verdict": "cannot_tell", "reason": "no_sandbox", "detail": problem})
        return
    _write(report, {"ready": True})
    random.seed(0)
    outcome = _outcome(program["code"], program["tests"])
    if outcome["verdict"] == "correct":
        outcome["secret"] = _read(commands, SECRET_BYTES).hex()
    _write(report, outcome)
    os._exit(0)


def _read(stream: int, length: int) -> bytes:
    """Return so many bytes of a pipe, or fewer where it ends."""
    found = b""
    while len(found) < length and (more := os.read(stream, length - len(found))):
        found += more
    return found


def _write(stream: int, line: dict[str, Any]) -> None:
    os.write(stream, json.dumps(line).encode() + b"\n")


def _outcome(code: str, tests: str) -> dict[str, Any]:
    """Return the verdict on code by its tests."""
    try:
        return _tested(code, tests)
    except _UnclearError as error:
        return {"verdict": "cannot_tell", "reason": error.reason, "detail": str(error)}
    except Exception as error:  # raised by no code of the answer, whose errors are caught where it runs
        detail = f"the code cannot be read ({type(error).__name__})"
        return {"verdict": "cannot_tell", "reason": "not_allowed", "detail": detail}


def _tested(code: str, tests: str) -> dict[str, Any]:
    parsed_tests = _parsed_tests(tests)
    try:
        parsed = ast.parse(code)
        compiled = compile(parsed, "<answer>", "exec")
    except (SyntaxError, ValueError) as error:
        return _incorrect(f"the code is not Python: line {getattr(error, 'lineno', None) or 1} has an error of syntax")
    except (RecursionError, MemoryError) as error:
        raise _UnclearError("not_allowed", "the code is nested too deep to be read") from error
    if problem := refused(parsed, parsed_tests):
        raise _UnclearError("not_allowed", f"the code {problem}")
    counted = list[int]()
    scope: dict[str, Any] = {"__name__": "answer", "__builtins__": builtins, _COUNT: lambda: counted.append(1)}
    if problem := _problem_of(compiled, scope, "the code"):
        return _incorrect(problem)
    problem = _problem_of(compile(_counting(parsed_tests), "<tests>", "exec"), scope, "the tests")
    for name in () if problem else _test_functions(parsed_tests):
        problem = problem or _problem_of(compile(f"{name}()", "<tests>", "exec"), scope, name)
    if not problem and not counted:
        raise _UnclearError("bad_truth", "the tests check nothing: no assert was reached")
    return (
        _incorrect(problem)
        if problem
        else {"verdict": "correct", "detail": f"its tests pass ({len(counted)} assertions)"}
    )


def _incorrect(detail: str) -> dict[str, Any]:
    return {"verdict": "incorrect", "detail": detail}


def _parsed_tests(tests: str) -> ast.Module:
    """Return the tests as Python.

    Raises:
        _UnclearError: They are none that can be run here.
    """
    try:
        parsed = ast.parse(tests)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise _UnclearError("bad_truth", "the tests are not Python") from error
    if problem := refused_import(parsed):
        raise _UnclearError("bad_truth", f"a test {problem}")
    for name, function in _functions(parsed).items():
        if name.startswith("test") and _needs_arguments(function):
            raise _UnclearError("bad_truth", f"{name} needs arguments, and there are no fixtures here")
    return parsed


def _functions(tests: ast.Module) -> dict[str, ast.FunctionDef]:
    return {node.name: node for node in tests.body if isinstance(node, ast.FunctionDef)}


def _test_functions(tests: ast.Module) -> list[str]:
    """Return the functions that pytest would call."""
    return [name for name in _functions(tests) if name.startswith("test")]


def _needs_arguments(function: ast.FunctionDef) -> bool:
    arguments = function.args
    return len(arguments.posonlyargs) + len(arguments.args) > len(arguments.defaults)


def _counting(tests: ast.Module) -> ast.Module:
    """Return the tests with a call before each assert that counts it."""
    return ast.fix_missing_locations(_Counting().visit(tests))  # type: ignore[no-any-return]


class _Counting(ast.NodeTransformer):
    def visit_Assert(self, node: ast.Assert) -> list[ast.stmt]:
        call = ast.Expr(ast.Call(ast.Name(_COUNT, ast.Load()), [], []))
        return [ast.copy_location(call, node), node]


def _problem_of(compiled: CodeType, scope: dict[str, Any], what: str) -> str:
    """Run code and return how it fails, if it does.

    Raises:
        _UnclearError: It needs what the sandbox does not have.
    """
    try:
        exec(compiled, scope)
    except BaseException as error:  # also SystemExit and KeyboardInterrupt, by which code would end its tests
        if _is_of_sandbox(error):
            asked = f"{what} asked for something that the sandbox does not have ({type(error).__name__})"
            raise _UnclearError("not_allowed", asked) from error
        return f"{what} failed{_place(error)} ({type(error).__name__[:40]})"
    return ""


def _is_of_sandbox(error: BaseException) -> bool:
    """Return whether an error comes from a file that cannot be opened: data, a module, or the table of an encoding."""
    return isinstance(error, PermissionError | ImportError) or type(error) is LookupError


def _place(error: BaseException) -> str:
    """Return which line of the tests failed; nothing where it was none."""
    lines, trace = list[int](), error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<tests>":
            lines.append(trace.tb_lineno)
        trace = trace.tb_next
    return f" in line {lines[-1]}" if lines else ""
