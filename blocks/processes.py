"""Whether a recorded process is still alive."""

import os
import sys
from pathlib import Path

import psutil

SAME_START_S = 2.0
SAME_TICK_S = 0.005
EPOCH_S = 1e9
_START_FIELD = 19
"""Place of the start in /proc/PID/stat, counted behind the command's name, which may hold anything."""


def start_time(pid: int | None = None) -> float:
    """Return when a process started, by a clock that cannot be set; of this process where none is named.

    On Linux that is seconds since the machine's start. Elsewhere it is seconds since the epoch, as before.

    Raises:
        psutil.Error: There is no such process.
    """
    number = os.getpid() if pid is None else pid
    if sys.platform != "linux":
        return float(psutil.Process(number).create_time())
    try:
        fields = Path(f"/proc/{number}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError as error:
        raise psutil.NoSuchProcess(number) from error
    return int(fields[_START_FIELD]) / os.sysconf("SC_CLK_TCK")


def is_alive(pid: int, started_at: float) -> bool:
    """Return whether the process of that number that started then is alive; a number may be reused.

    A zombie, dead but not yet waited for by its parent, is not alive. A start in seconds since the epoch, as earlier
    versions wrote it, is compared with the clock of today.
    """
    try:
        process = psutil.Process(pid)
        if started_at >= EPOCH_S:
            is_same = abs(process.create_time() - started_at) < SAME_START_S
        else:
            is_same = abs(start_time(pid) - started_at) < SAME_TICK_S
        return bool(is_same and process.status() != psutil.STATUS_ZOMBIE)
    except (psutil.Error, ValueError, OverflowError):  # the latter two for what is no number of a process
        return False
