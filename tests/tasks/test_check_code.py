"""The checker `code`: verdicts by tests, answers that try to pass without being right, and what the sandbox refuses."""

import socket
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from kasasagi.flows.recipe import verifying
from kasasagi.flows.recipe.errors import RecipeError
from kasasagi.flows.recipe.loading import check_recipe
from kasasagi.tasks.judge.checkers.auto import kind_for
from kasasagi.tasks.judge.checkers.code import sandbox
from kasasagi.tasks.judge.checkers.code.check import check_code, code_in, joined_tests
from kasasagi.tasks.judge.checkers.code.sandbox import run_code, unsupported
from kasasagi.tasks.judge.checkers.finding import Case, Finding
from kasasagi.tasks.judge.verify.config import VerifyConfig
from kasasagi.tasks.judge.verify.work import shown_check

pytestmark = pytest.mark.skipif(bool(unsupported()), reason="the sandbox is for Linux")

RIGHT = "def double(x):\n    return 2 * x"
TESTS = "assert double(2) == 4\nassert double(0) == 0"

HUMANEVAL = "def check(candidate):\n    assert candidate(2) == 4"


def fenced(code: str, language: str = "python") -> str:
    return f"Here it is:\n\n```{language}\n{code}\n```\n\nIt doubles."


def test_the_block_that_defines_what_the_tests_use_is_the_code() -> None:
    solution = fenced(RIGHT)
    main = "```python\ndef main():\n    print(double(3))\nmain()\n```"
    own = "```python\ndef test_double():\n    assert double(1) == 2\n```"
    for answer in (f"{solution}\n{main}", f"{solution}\n{own}", f"{main}\n{solution}\n{own}"):
        assert checked(answer).verdict == "correct", answer
        assert checked(answer, HUMANEVAL, entry_point="double").verdict == "correct", answer


def test_imports_and_helpers_in_earlier_blocks_belong_to_the_code() -> None:
    imports, helper = fenced("from operator import mul"), fenced("def twice(x):\n    return mul(2, x)")
    use = fenced("print(double(2))")
    solution = "def double(x):\n    return twice(x)"
    assert checked("\n".join([imports, helper, use, fenced(solution)])).verdict == "correct"
    wrong = fenced("def double(x):\n    return x")
    assert checked("\n".join([wrong, fenced(RIGHT)])).verdict == "correct"
    future = f"from __future__ import annotations\n{RIGHT}"
    assert checked("\n".join([imports, fenced(future)])).verdict == "correct"
    assert checked("\n".join([fenced(RIGHT), imports])).verdict == "correct"


def test_a_block_in_a_list_loses_its_indent_and_a_mark_further_in_does_not_end_it() -> None:
    lines = [f"   {line}" for line in ("```python", *RIGHT.splitlines(), "```")]
    assert checked("\n".join(["1. Here:", *lines])).verdict == "correct"
    documented = 'def double(x):\n    """Double.\n\n    ```\n    double(1)\n    ```\n    """\n    return 2 * x'
    assert checked(fenced(documented)).verdict == "correct"


def checked(answer: str, truth: Any = TESTS, **row: Any) -> Finding:
    return check_code(Case(answer, truth, row=row))


@pytest.mark.parametrize(
    ("code", "verdict", "words"),
    [
        (RIGHT, "correct", "its tests pass (2 assertions)"),
        ("def double(x):\n    return x + 2", "incorrect", "the tests failed in line 2 (AssertionError)"),
        ("def double(x)\n    return 2 * x", "incorrect", "the code is not Python: line 1"),
        ("def twice(x):\n    return 2 * x", "incorrect", "the tests failed in line 1 (NameError)"),
        ("x = 1 / 0\n" + RIGHT, "incorrect", "the code failed (ZeroDivisionError)"),
        ("def double(x):\n    return double(x)", "incorrect", "RecursionError"),
        ("def double(x):\n    return [0] * 10**10", "incorrect", "MemoryError"),
        ("print('text' * 10**6)\n" + RIGHT, "correct", ""),
        ("from datetime import datetime\ndatetime.strptime('2026', '%Y')\n" + RIGHT, "correct", ""),
        (
            "from collections import Counter\nCounter('aab').most_common(1)\n" + RIGHT,
            "correct",
            "",
        ),
        ("assert 'カササギ'.encode('shift_jis').decode('shift_jis') == 'カササギ'\n" + RIGHT, "correct", ""),
        ("'a'.encode('cp1140')\n" + RIGHT, "cannot_tell", "the sandbox does not have"),
        ("def double(x):\n    結果 = 2 * x\n    return 結果", "correct", ""),
        ("def double(x):\n    café = '\\N{SNOWMAN}'\n    return type(x)(2 * x)", "correct", ""),
        ("'あ'.encode('utf-8-sig'), 'é'.encode('cp1252')\n" + RIGHT, "correct", ""),
        ("import math, random, json, hashlib, collections.abc, decimal\n" + RIGHT, "correct", ""),
        ("class A:\n    def __init__(self):\n        self.n = 2\ndef double(x):\n    return A().n * x", "correct", ""),
    ],
)
def test_code_is_right_where_its_tests_pass(code: str, verdict: str, words: str) -> None:
    found = checked(fenced(code))
    assert (found.verdict, words in found.detail) == (verdict, True), found


FORGED = {
    "exit": "import sys\ndef double(x):\n    sys.exit(0)",
    "exit at once": "import sys\nsys.exit(0)",
    "exit exception": "raise SystemExit(0)",
    "interrupt": "raise KeyboardInterrupt",
    "os exit": "import os\nos._exit(0)",
    "always equal": "class A:\n    def __eq__(self, other):\n        return True\ndef double(x):\n    return A()",
    "always equal by lambda": "class A:\n    __eq__ = lambda a, b: True\ndef double(x):\n    return A()",
    "always equal by type": "def double(x):\n    return type('A', (), {'__eq__': lambda a, b: True})()",
    "always equal by a built name": "E = '_' * 2 + 'eq' + '_' * 2\nA = type('A', (), {E: lambda a, b: True})\n"
    "def double(x):\n    return A()",
    "another name of type": "t = type\nA = t('A', (), {'_' * 2 + 'eq' + '_' * 2: lambda a, b: True})\n"
    "def double(x):\n    return A()",
    "new class": "import types\nE = '_' * 2 + 'eq' + '_' * 2\n"
    "A = types.new_class('A', (), {}, lambda names: names.update({E: lambda a, b: True}))\n"
    "def double(x):\n    return A()",
    "always near": "class A:\n    def __sub__(self, other):\n        return 0\ndef double(x):\n    return A()",
    "equal to all": "from unittest.mock import ANY\ndef double(x):\n    return ANY",
    "frames": "import sys\ndef double(x):\n    sys._getframe(1).f_globals.clear()",
    "traces": "def double(x):\n    try:\n        1 / 0\n    except OSError as e:\n        e.__traceback__",
    "modules": "import sys\nsys.modules['os']._exit(0)",
    "modules of modules": "import random\nrandom._os._exit(0)",
    "import of an import": "from random import _os\n_os._exit(0)",
    "builtins": "def double(x):\n    __builtins__['AssertionError'] = None",
    "subclasses": "def double(x):\n    return ().__class__.__base__.__subclasses__()",
    "tests see another abs": "def double(x):\n    return 9\ndef abs(x):\n    return 0",
    "pattern captures abs": "match lambda x: 0:\n    case abs:\n        pass\ndef double(x):\n    return 9",
    "changed module": "import math\nmath.isclose = lambda *a: True\ndef double(x):\n    return 9",
    "evaluated": "def double(x):\n    return eval('2 * x')",
    "prints a pass": 'import sys\nprint(\'{"verdict": "correct"}\')\nsys.exit(0)',
    "pass on a pipe": "import io\nio.FileIO(4, 'w').write(b'{}')",
    "pipe": "import sys\ntype(sys.stdin.buffer.raw)(3).read()",
    "garbage": "import gc\n" + RIGHT,
    "threads": "import threading\n" + RIGHT,
    "processes": "import subprocess\n" + RIGHT,
    "network": "import socket\n" + RIGHT,
    "read": "def double(x):\n    return open('/etc/passwd').read()",
}
WAYS = (TESTS, "assert abs(double(1) - 2) < 1", "import math\nassert math.isclose(double(3), 6)")
"""Tests of several kinds, for a trick that works against one of them."""


@pytest.mark.parametrize("name", FORGED)
def test_no_trick_makes_an_answer_right(name: str) -> None:
    assert "correct" not in [checked(fenced(FORGED[name]), tests).verdict for tests in WAYS]


REACHED = "import sys\nos, libc = sys.modules['os'], sys.modules['ctypes'].CDLL(None, use_errno=True)\n"
REFUSED = {
    "fork": "libc.fork()",
    "vfork by number": "libc.syscall(58)",
    "program": "libc.execve(b'/bin/true', None, None)",
    "socket": "libc.socket(2, 1, 0)",
    "socket pair": "libc.socketpair(1, 1, 0, (sys.modules['ctypes'].c_int * 2)())",
    "read": "libc.open(b'/etc/passwd', 0)",
    "write": "libc.open(b'/tmp/kasasagi-written', 0o101, 0o600)",
    "signal": "libc.kill(os.getpid(), 0)",
    "trace": "libc.ptrace(0, 0, 0, 0)",
    "namespaces": "libc.unshare(0x10000000)",
    "limits": "libc.setrlimit(0, (sys.modules['ctypes'].c_ulong * 2)(999, 999))",
    "alarm": "libc.setitimer(0, None, None)",
    "removal": "libc.unlink(b'/tmp/kasasagi-nothing')",
    "ring": "libc.syscall(425, 8, None)",
    "mount": "libc.mount(None, b'/', None, 0, None)",
}


@pytest.mark.parametrize("name", REFUSED)
def test_the_kernel_refuses_what_no_computation_needs(name: str) -> None:
    # Tests are not screened as answers are, so that they reach what an answer would have to break into.
    tests = f"{REACHED}assert {REFUSED[name]} == -1\nassert sys.modules['ctypes'].get_errno() == 1"
    assert run_code("x = 1", tests).verdict == "correct"


def test_no_connection_is_made_and_no_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("secret", encoding="utf-8")
    found = run_code("x = 1", f"assert open({str(tmp_path / 'key')!r}).read()")
    assert (found.verdict, found.reason) == ("cannot_tell", "not_allowed")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        run_code("x = 1", f"{REACHED}libc.socket(2, 1, 0)\nassert libc.connect(3, None, 0) == -1")
        with pytest.raises(TimeoutError):
            server.accept()


def test_a_report_that_floods_the_parent_is_cut_off() -> None:
    found = run_code("x = 1", f"{REACHED}while True:\n    os.write(4, b'x' * 1000)")
    assert found.verdict != "correct"


def test_the_environment_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMALL_API_KEY", "secret")
    tests = f"{REACHED}assert 'secret' not in os.environ.values(), os.environ\nassert 'HOME' not in os.environ"
    assert run_code("x = 1", tests).verdict == "correct"


def test_code_that_computes_without_end_is_wrong_and_code_that_waits_is_unclear(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sandbox, "CPU_SECONDS", 1)
    found = run_code("def double(x):\n    while True:\n        pass", TESTS)
    assert (found.verdict, found.detail) == ("incorrect", "the code took more than 1 seconds of computing")
    monkeypatch.setattr(sandbox, "WALL_SECONDS", 3)
    found = run_code("import time\ntime.sleep(99)", TESTS)
    assert (found.verdict, found.reason) == ("cannot_tell", "timeout")


def test_without_a_sandbox_nothing_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox.sys, "executable", "/nowhere/python")
    found = run_code(RIGHT, TESTS)
    assert (found.verdict, found.reason) == ("cannot_tell", "no_sandbox")
    monkeypatch.undo()
    broken = sandbox._START.replace("main()", "import platform; platform.machine = lambda: 'vax'; main()")
    monkeypatch.setattr(sandbox, "_START", broken)
    found = run_code(RIGHT, TESTS)
    assert (found.verdict, found.reason) == ("cannot_tell", "no_sandbox")
    assert "no list of system calls for vax" in found.detail


@pytest.mark.parametrize(
    ("truth", "reason"),
    [
        ("", "bad_truth"),
        (5, "bad_truth"),
        ("assert double(", "bad_truth"),
        ("double(2)", "bad_truth"),
        ("import numpy\nassert double(2) == 4", "bad_truth"),
        ("def test_it(tmp_path):\n    assert double(2) == 4", "bad_truth"),
        ("def check(candidate):\n    assert candidate(2) == 4", "bad_truth"),
    ],
)
def test_without_tests_nothing_is_said(truth: Any, reason: str) -> None:
    found = checked(fenced(RIGHT), truth)
    assert (found.verdict, found.reason) == ("cannot_tell", reason)


@pytest.mark.parametrize(
    ("truth", "row"),
    [
        (["assert double(2) == 4", "assert double(3) == 6"], {}),
        ('["assert double(2) == 4"]', {}),
        ("def test_two():\n    assert double(2) == 4\n\ndef helper():\n    assert False", {}),
        ("def check(candidate):\n    assert candidate(2) == 4", {"entry_point": "double"}),
    ],
)
def test_tests_are_lists_texts_and_functions(truth: Any, row: dict[str, Any]) -> None:
    assert checked(fenced(RIGHT), truth, **row).verdict == "correct"
    assert checked(fenced("def double(x):\n    return 5"), truth, **row).verdict == "incorrect"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (fenced("a = 1"), "a = 1"),
        (fenced("a = 1", "py") + fenced("b = 2", "Python3"), "b = 2"),
        (fenced(RIGHT) + fenced("print(double(2))"), RIGHT),
        (fenced("a = 1", "") + fenced("ls", "bash"), "a = 1"),
        (fenced("a = 1") + fenced("4", ""), "a = 1"),
        ("```python\na = 1", "a = 1"),
        (RIGHT, RIGHT),
        ("It doubles the number.", ""),
        (fenced("ls", "bash"), ""),
    ],
)
def test_the_code_is_the_last_block_that_defines_something(answer: str, code: str) -> None:
    assert code_in(answer).strip() == code
    if not code:
        assert checked(answer).reason == "no_code"


def test_code_runs_only_where_the_recipe_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValidationError, match="set run_code: true"):
        VerifyConfig(kind="code", truth="tests")
    with pytest.raises(ValidationError, match="run_code is for the kind code"):
        VerifyConfig(kind="auto", truth="tests", run_code=True)
    assert kind_for(Case(fenced(RIGHT), TESTS)) != "code"
    recipe = {
        "name": "code",
        "source": {"kind": "dataset", "path": "prompts.jsonl", "keep": ["tests"]},
        "models": {"hina": {"kind": "bundled"}},
        "respond": {"models": ["hina"], "samples": 2},
        "judge": {"method": "verify", "verify": {"kind": "code", "truth": "tests", "run_code": True}},
    }
    judging = check_recipe(recipe, tmp_path).judging
    assert judging is not None
    assert "run on this machine, in a sandbox, which works here" in shown_check(
        judging.verifying, {"tests": TESTS, "messages": []}
    )
    monkeypatch.setattr(verifying, "unsupported", lambda: "the sandbox is for Linux")
    with pytest.raises(RecipeError, match="'code' cannot be checked here: the sandbox is for Linux"):
        check_recipe(recipe, tmp_path)


def test_other_lists_than_of_texts_are_no_tests() -> None:
    assert joined_tests([1, 2], None) == ""
    assert joined_tests("[1, 2]\nassert True", None) == "[1, 2]\nassert True"
