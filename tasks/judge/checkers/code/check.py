"""The checker `code`: whether an answer's Python passes its tests, which are run in a sandbox."""

import re
from contextlib import suppress
from typing import Any

import orjson

from kasasagi.tasks.judge.checkers.code.sandbox import run_code
from kasasagi.tasks.judge.checkers.finding import Case, Finding, cannot_tell

MOST_CHARACTERS = 50_000
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})[ \t]*([\w+-]*)")
_PYTHON = ("python", "python3", "py", "py3")
_DEFINES = re.compile(r"^\s*(?:async\s+def|def|class)\s|^\w+\s*=\s*lambda\b", re.MULTILINE)
_BEGINS = re.compile(r"\A\s*(?:def|class|import|from|@\w)[\s\w]")
_CHECK = re.compile(r"^def check\(\w+\)", re.MULTILINE)
_CHECKED = re.compile(r"^check\(", re.MULTILINE)


def check_code(case: Case) -> Finding:
    """Run the code of an answer with the row's tests."""
    code, tests = code_in(case.answer), joined_tests(case.truth, case.row.get("entry_point"))
    if not code.strip():
        return cannot_tell("the answer has no block of Python", "no_code")
    if not tests.strip():
        return cannot_tell("the tests are neither a text nor a list of texts", "bad_truth")
    if len(code) + len(tests) > MOST_CHARACTERS:
        return cannot_tell(f"code and tests are longer than {MOST_CHARACTERS:,} characters", "not_allowed")
    return run_code(code, tests)


def code_in(answer: str) -> str:
    """Return the code of an answer: its last block of Python that defines something, else its last one.

    Blocks without a language are read where none is marked as Python. An answer without blocks is code if it begins so.
    """
    blocks = _blocks(answer)
    python = [text for language, text in blocks if language in _PYTHON] or [text for name, text in blocks if not name]
    defining = [text for text in python if _DEFINES.search(text)]
    if python:
        return (defining or python)[-1]
    return answer if not blocks and _BEGINS.search(answer) else ""


def _blocks(answer: str) -> list[tuple[str, str]]:
    """Return the fenced blocks of an answer with their languages; one that is not closed ends with the answer."""
    found, mark = list[tuple[str, list[str]]](), ""
    for line in answer.splitlines():
        if mark and line.strip().startswith(mark) and not line.strip().strip(mark[0]):
            mark = ""
        elif mark:
            found[-1][1].append(line)
        elif fence := _FENCE.match(line):
            mark = fence[1]
            found.append((fence[2].lower(), []))
    return [(language, "\n".join(lines)) for language, lines in found]


def joined_tests(truth: Any, entry_point: Any) -> str:
    """Return a row's tests as one text; a list, also one that is kept as JSON text, holds several that must all pass.

    Tests in the form of HumanEval, a function `check`, are called with the function that the column entry_point names.
    """
    if isinstance(truth, str) and truth.lstrip().startswith("["):
        with suppress(orjson.JSONDecodeError):  # else it is a list of Python
            truth = orjson.loads(truth)
    lines = truth if isinstance(truth, list | tuple) else [truth]
    if not all(isinstance(line, str) for line in lines):
        return ""
    tests = "\n".join(lines)
    named = isinstance(entry_point, str) and entry_point.isidentifier()
    if named and _CHECK.search(tests) and not _CHECKED.search(tests):
        tests += f"\ncheck({entry_point})"
    return tests
