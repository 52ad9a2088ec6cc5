"""The process of a private Prefect server: `python -m kasasagi.flows.server.server_process PARENT PORT`.

It ends when its parent does. It looks for no garbage while it imports, which is a sixth of the time of its start.
"""

import ctypes
import os
import signal
import sys

from kasasagi.blocks.gc_pause import gc_paused

PR_SET_PDEATHSIG = 1
FACTORY = "prefect.server.api.server:create_app"


def die_with(parent: int) -> None:
    """Ask the system (Linux) to end this process when its parent ends; elsewhere do nothing."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(1)


def serve(port: int) -> None:
    """Serve Prefect on a port of this machine until the process is stopped."""
    with gc_paused():
        import prefect.server.api.server  # noqa: F401 - uvicorn finds it by its name
        import uvicorn
    uvicorn.run(FACTORY, factory=True, host="127.0.0.1", port=port, log_level="error", lifespan="on")


if __name__ == "__main__":
    die_with(int(sys.argv[1]))
    serve(int(sys.argv[2]))
