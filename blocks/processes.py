"""Whether a process that was noted down still lives."""

import psutil

SAME_START_S = 2.0


def lives(pid: int, started: float) -> bool:
    """Whether the process of that number, started then (seconds since the epoch), lives; a number may be reused.

    A zombie, dead but not yet waited for by its parent, does not live.
    """
    try:
        process = psutil.Process(pid)
        is_same = abs(process.create_time() - started) < SAME_START_S
        return bool(is_same and process.status() != psutil.STATUS_ZOMBIE)
    except (psutil.Error, ValueError, OverflowError):  # the latter two for what is no number of a process
        return False
