"""End processes with our parent: `python process_watch.py run COMMAND …`, or `watch PID …` with their children.

The parent holds the other end of our standard input, which the system closes however the parent ends. vLLM's engine
core is a process of its own, and outlives a parent that was killed, with all that it holds of the GPU's memory.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import psutil

GRACE_S = 10.0


def start_guarded(command: Sequence[str], **options: Any) -> "subprocess.Popen[bytes]":
    """Start a command under a guard; closing the process's stdin, or our own end, ends it and what it started."""
    return subprocess.Popen([*_guard(), "run", *command], stdin=subprocess.PIPE, start_new_session=True, **options)


def watch_processes(pids: Sequence[int]) -> "subprocess.Popen[bytes]":
    """Have processes ended when our own process ends, or when the guard's stdin is closed."""
    return subprocess.Popen(
        [*_guard(), "watch", *map(str, pids)], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
    )


def end(guard: "subprocess.Popen[bytes]") -> int:
    """End what a guard guards, and the guard; gives its exit status."""
    if guard.stdin is not None:
        with suppress(OSError):
            guard.stdin.close()
    try:
        return guard.wait(2 * GRACE_S)
    except subprocess.TimeoutExpired:
        guard.kill()
        return guard.wait()


def end_all(pids: Sequence[int]) -> None:
    """Ask processes and all that they started to end, and make them end where they do not."""
    family = []
    for pid in pids:
        with suppress(psutil.Error):
            process = psutil.Process(pid)
            family += [*process.children(recursive=True), process]
    for process in family:
        with suppress(psutil.Error):
            process.terminate()
    _, left = psutil.wait_procs(family, GRACE_S)
    for process in left:
        with suppress(psutil.Error):
            process.kill()


def _guard() -> list[str]:
    return [sys.executable, "-P", str(Path(__file__).resolve())]


def _group() -> list[int]:
    """Return the other processes of our group: what the command started, even if the command has gone already."""
    found = []
    for pid in psutil.pids():
        with suppress(OSError):
            if pid != os.getpid() and os.getpgid(pid) == os.getpgid(0):
                found.append(pid)
    return found


def _then(wait: Callable[[], object], event: threading.Event) -> None:
    wait()
    event.set()


def _run(command: Sequence[str]) -> NoReturn:
    """Run a command until it ends or we are let go, then end whatever is left of it."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    ended = threading.Event()
    for wait in (sys.stdin.buffer.read, child.wait):
        threading.Thread(target=_then, args=(wait, ended), daemon=True).start()
    ended.wait()
    code = child.poll()
    end_all(_group())
    os._exit(abs(child.wait() if code is None else code))


if __name__ == "__main__":
    if sys.argv[1] == "run":
        _run(sys.argv[2:])
    sys.stdin.buffer.read()
    end_all([int(pid) for pid in sys.argv[2:]])
