"""Start a process for one answer's code, and read what it reports."""

import json
import os
import platform
import re
import secrets
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from kasasagi.tasks.judge.checkers.code.child import LENGTH_BYTES, SECRET_BYTES
from kasasagi.tasks.judge.checkers.code.lock import CALLS
from kasasagi.tasks.judge.checkers.code.screen import MODULES
from kasasagi.tasks.judge.checkers.finding import Finding, cannot_tell, correct, incorrect

CPU_SECONDS = 10
WALL_SECONDS = 60
MOST_REPORTED = 4096
_PACKAGE = __name__.rpartition(".")[0]
_START = f"""
import sys, types
name = ""
for part in {_PACKAGE!r}.split("."):
    name = f"{{name}}.{{part}}".lstrip(".")
    sys.modules[name] = package = types.ModuleType(name)
    package.__path__ = []
package.__path__ = [{str(Path(__file__).parent)!r}]
from {_PACKAGE}.child import main
main()
"""
"""Imports the child's modules by their names, and none of the packages around them."""
_CRASHES = ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL")
_REASONS = ("not_allowed", "bad_truth", "no_sandbox")


def unsupported() -> str:
    """Return why code cannot be run on a machine of this kind, if so."""
    if sys.platform == "linux" and platform.machine() in CALLS:
        return ""
    return f"the sandbox is for Linux on {' or '.join(CALLS)}, and this is {sys.platform} on {platform.machine()}"


def run_code(code: str, tests: str) -> Finding:
    """Run code with its tests in a process of its own, and return how that ended."""
    secret = secrets.token_bytes(SECRET_BYTES)
    words = set(re.findall(r"[\w.]+", f"{code}\n{tests}"))
    texts = {"code": code, "tests": tests, "modules": sorted(MODULES & words)}
    program = json.dumps({**texts, "seconds": (CPU_SECONDS, WALL_SECONDS)}).encode()
    with tempfile.TemporaryDirectory(prefix="kasasagi-code-") as folder:
        try:
            reported, status = _run(program, secret, folder)
        except OSError as error:
            return cannot_tell(f"no process can be started for the code ({error.strerror})", "no_sandbox")
    return _finding(_lines(reported), status, secret)


def _run(program: bytes, secret: bytes, folder: str) -> tuple[bytes, int | None]:
    """Return what the child reported, and its exit status; None where it had to be ended after its time."""
    with subprocess.Popen(
        [sys.executable, "-P", "-S", "-s", "-B", "-c", _START],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        env={"PYTHONHASHSEED": "0", "PYTHONUTF8": "1"},
        start_new_session=True,
    ) as process:
        try:
            return _talk(process, len(program).to_bytes(LENGTH_BYTES, "big") + program + secret)
        finally:
            process.kill()


def _talk(process: "subprocess.Popen[bytes]", words: bytes) -> tuple[bytes, int | None]:
    """Write to the child and read until it ends or its time is over; what says too much has said nothing."""
    ends = time.monotonic() + WALL_SECONDS
    if process.stdin is None or process.stdout is None:
        raise OSError("the process has no pipes")
    try:
        process.stdin.write(words)
        process.stdin.flush()
    except BrokenPipeError:
        pass  # it ended before it read all; its status says how
    poll, found = select.poll(), b""
    poll.register(process.stdout)
    while len(found) < MOST_REPORTED:
        if not poll.poll(max(0, ends - time.monotonic()) * 1000):
            return found, None
        if not (more := os.read(process.stdout.fileno(), MOST_REPORTED)):
            return found, process.wait()
        found += more
    return found, 1


def _lines(reported: bytes) -> list[dict[str, Any]]:
    """Return the lines of a report; what is no line of it ends it."""
    found = list[dict[str, Any]]()
    for line in reported.splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            break
        if not isinstance(value, dict):
            break
        found.append(value)
    return found


def _finding(lines: list[dict[str, Any]], status: int | None, secret: bytes) -> Finding:
    """Return the verdict that a report and an exit status amount to."""
    last = lines[-1] if lines else {}
    detail = str(last.get("detail", ""))[:200]
    if last.get("verdict") == "correct" and last.get("secret") == secret.hex():
        return correct(detail)
    if last.get("verdict") == "cannot_tell" and last.get("reason") in _REASONS:
        return cannot_tell(detail, str(last["reason"]))
    if not lines:
        return cannot_tell(f"the sandbox cannot be set up here (exit status {status})", "no_sandbox")
    if last.get("verdict") == "incorrect":
        return incorrect(detail)
    return _without_report(status)


def _without_report(status: int | None) -> Finding:
    """Return the verdict on code that ended its process, or had it ended, before its tests were done."""
    if status is None or -status == signal.SIGALRM:
        return cannot_tell(f"the code did not end within {WALL_SECONDS} seconds", "timeout")
    if -status == signal.SIGKILL:
        return cannot_tell("the code's process was ended from outside", "timeout")
    if -status == signal.SIGXCPU:
        return incorrect(f"the code took more than {CPU_SECONDS} seconds of computing")
    if status < 0 and signal.Signals(-status).name in _CRASHES:
        return incorrect("the code made Python crash")
    return incorrect("the code ended before its tests did")
