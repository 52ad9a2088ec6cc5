"""Fake servers from a process that has imported what they need: a start takes shorter than the imports do.

That process imports a fake server once and then, for each line of JSON on its input, forks one with the arguments of
`python -m tests.fake_server`, or kills one that it has forked. It ends with the process that started it, and the
servers end with it.
"""

import gc
import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NoReturn

from tests.fake_server.__main__ import PARENT_CHECK_S, main

ROOT = Path(__file__).parents[2]


class Forking:
    """The process that fake servers are forked from."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from tests.fake_server.forking import serve; serve()"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def start(self, arguments: Sequence[str]) -> tuple[int, int | None]:
        """Fork a server; return its process id and its port, which is None where it did not start."""
        with self._lock:
            pid, port = int(self._ask(list(arguments))), self._answer()
        return pid, int(port) if port.strip() else None

    def kill(self, pid: int) -> None:
        """Kill a server and wait for its end."""
        with self._lock:
            self._ask(pid)

    def _ask(self, what: object) -> bytes:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what).encode() + b"\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> bytes:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


@cache
def forking(holder: int) -> Forking:
    """Return the process that fake servers of a process are forked from.

    Args:
        holder: The id of this process; one that was forked from it needs another.
    """
    del holder
    return Forking()


def serve() -> None:
    """Do what each line of the input says, until it ends or the process that started this one has ended."""
    parent = os.getppid()
    gc.collect()
    gc.freeze()  # so that no fork copies the pages of what all of them share
    while os.getppid() == parent:
        if select.select([sys.stdin], [], [], PARENT_CHECK_S)[0]:
            line = sys.stdin.readline()
            if not line:
                return
            _obey(json.loads(line))


def _obey(asked: list[str] | int) -> None:
    """Fork a server and print its process id, or kill one and print an empty line at its end."""
    if isinstance(asked, int):
        os.kill(asked, signal.SIGKILL)
        os.waitpid(asked, 0)
        print(flush=True)
        return
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.read(reading, 1)
        _become(asked)
    print(pid, flush=True)
    os.write(writing, b"\n")
    os.close(reading)
    os.close(writing)


def _become(arguments: Sequence[str]) -> NoReturn:
    """Be a server, which prints its port, or an empty line where it does not start."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    try:
        main(arguments)
    except SystemExit as leaving:
        print(leaving.code, file=sys.stderr, flush=True)
        print(flush=True)
    finally:
        os._exit(1)
