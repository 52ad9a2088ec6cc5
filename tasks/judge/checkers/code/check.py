"""The checker `code`: whether an answer's Python passes its tests, which are run in a sandbox."""

import re
from contextlib import suppress
from typing import Any

import orjson

from kasasagi.tasks.judge.checkers.code.sandbox import run_code
from kasasagi.tasks.judge.checkers.finding import Case, Finding, cannot_tell

MOST_CHARACTERS = 50_000
_FENCE = re.compile(r"^( {0,3})(`{3,}|~{3,})[ \t]*([\w+-]*)")
_PYTHON = ("python", "python3", "py", "py3")
_NAMES = re.compile(r"^(?:async\s+def|def|class)\s+(\w+)|^(\w+)\s*=(?!=)", re.MULTILINE)
_DEFINING = re.compile(r"(?:import|from|def|class|async\s+def)\s|[\s@#)\]]")
_DEFINES = re.compile(r"^\s*(?:async\s+def|def|class)\s|^\w+\s*=\s*lambda\b", re.MULTILINE)
_BEGINS = re.compile(r"\A\s*(?:def|class|import|from|@\w)[\s\w]")
_CHECK = re.compile(r"^def check\(\w+\)", re.MULTILINE)
_CHECKED = re.compile(r"^check\(", re.MULTILINE)


def check_code(case: Case) -> Finding:
    """Run the code of an answer with the row's tests."""
    tests = joined_tests(case.truth, case.row.get("entry_point"))
    code = code_in(case.answer, tests)
    if not code.strip():
        return cannot_tell("the answer has no block of Python", "no_code")
    if not tests.strip():
        return cannot_tell("the tests are neither a text nor a list of texts", "bad_truth")
    if len(code) + len(tests) > MOST_CHARACTERS:
        return cannot_tell(f"code and tests are longer than {MOST_CHARACTERS:,} characters", "not_allowed")
    return run_code(code, tests)


def code_in(answer: str, tests: str = "") -> str:
    """Return the code of an answer: its last block of Python that defines what the tests use, else its last one.

    Without such a block it is the last one that defines anything. Earlier blocks that only import and define further
    names stand in front of it. Blocks without a language are read where none is marked as Python. An answer without
    blocks is code if it begins so.
    """
    blocks = _blocks(answer)
    python = [text for language, text in blocks if language in _PYTHON] or [text for name, text in blocks if not name]
    if python:
        tested = [text for text in python if _defined_in(text) & _words(tests)]
        code = (tested or [text for text in python if _DEFINES.search(text)] or python)[-1]
        return "\n\n".join([*_helpers(python, code), code])
    return answer if not blocks and _BEGINS.search(answer) else ""


def _blocks(answer: str) -> list[tuple[str, str]]:
    """Return the fenced blocks of an answer with their languages; one that is not closed ends with the answer."""
    found, mark, indent = list[tuple[str, list[str]]](), "", 0
    for line in answer.splitlines():
        if mark and _closes(line, mark, indent):
            mark = ""
        elif mark:
            found[-1][1].append(_without_indent(line, indent))
        elif fence := _FENCE.match(line):
            mark, indent = fence[2], len(fence[1])
            found.append((fence[3].lower(), []))
    return [(language, "\n".join(lines)) for language, lines in found]


def _closes(line: str, mark: str, indent: int) -> bool:
    """Return whether a line ends a block: the mark alone, not further in than three blanks behind the block's own."""
    text = line.strip()
    further = len(line) - len(line.lstrip()) - indent
    return further <= 3 and text.startswith(mark) and not text.strip(mark[0])


def _without_indent(line: str, indent: int) -> str:
    """Return a line without the blanks by which its block is indented."""
    return line[min(indent, len(line) - len(line.lstrip(" "))) :]


def _helpers(blocks: list[str], code: str) -> list[str]:
    """Return the blocks in front of the code that do nothing but import and define names that it does not define."""
    if "__future__" in code:  # must stand first
        return []
    earlier = blocks[: len(blocks) - 1 - blocks[::-1].index(code)]
    return [text for text in earlier if _only_defines(text) and not _defined_in(text) & _defined_in(code)]


def _only_defines(code: str) -> bool:
    """Return whether every line that is not indented imports or defines; nothing of a model's is parsed here."""
    return all(_DEFINING.match(line) for line in code.splitlines() if line.strip())


def _defined_in(code: str) -> set[str]:
    return {name for pair in _NAMES.findall(code) for name in pair if name}


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text))


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
