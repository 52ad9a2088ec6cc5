"""Release what stays alive at the interpreter's end, so that DuckDB's binding does not print pages of leaked objects.

Importing this module registers the release; nothing happens before the interpreter exits. Two things would keep every
module, and with them DuckDB's types, alive: frozen objects, which the last garbage collection skips, and Prefect's
daemon threads, whose event loops and contexts refer to the flow.
"""

import atexit
import gc
import re
import sys
import threading
import time
from typing import Any

PREFECT_THREADS = "prefect._internal.concurrency.threads"
LOOPS = ("_run_sync_loop", "_global_loop")
# Prefect does not name the thread of a flow's heartbeat; it looks once a second whether the flow has ended.
HEARTBEAT = re.compile(r"Thread-\d+ \(run\)")
WAIT_SECONDS = 2.0


def release() -> None:
    """Unfreeze all objects and end Prefect's threads; wait at most WAIT_SECONDS for them."""
    gc.unfreeze()
    deadline = time.monotonic() + WAIT_SECONDS
    threads = [loop.thread for loop in _stopped_loops()]
    threads += [thread for thread in threading.enumerate() if thread.daemon and HEARTBEAT.fullmatch(thread.name)]
    for thread in threads:
        if thread is not threading.current_thread():
            thread.join(max(0.0, deadline - time.monotonic()))


def _stopped_loops() -> list[Any]:
    """Return Prefect's running event loop threads after asking each to stop; none where Prefect is not imported."""
    module = sys.modules.get(PREFECT_THREADS)
    loops = [getattr(module, name, None) for name in LOOPS]
    running = [loop for loop in loops if loop is not None and loop.thread.is_alive()]
    for loop in running:
        loop.shutdown()
    return running


atexit.register(release)
