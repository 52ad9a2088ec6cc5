"""A process that used kasasagi as a library ends without a page of leaked objects."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from kasasagi.blocks import clean_exit

ROOT = Path(__file__).resolve().parents[2]
FROZEN = """
from kasasagi.blocks.gc_pause import gc_paused
with gc_paused():
    import duckdb
"""
LOOPS = """
import asyncio, sys
from kasasagi.blocks import clean_exit
from prefect._internal.concurrency import threads
loops = [threads.get_global_loop(), threads.get_run_sync_loop()]
assert all(loop.thread.is_alive() for loop in loops)
clean_exit.release()
print([loop.thread.is_alive() for loop in loops])
"""


def python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout + done.stderr


def test_modules_that_were_imported_frozen_leave_no_leaks() -> None:
    assert python(FROZEN) == ""


def test_prefects_event_loops_end() -> None:
    assert python(LOOPS).split("\n")[0] == "[False, False]"


def test_a_heartbeat_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, clean_exit.PREFECT_THREADS, None)  # the loops of other tests go on
    thread = threading.Thread(target=time.sleep, args=(0.3,), name="Thread-7 (run)", daemon=True)
    thread.start()
    clean_exit.release()
    assert not thread.is_alive()


def test_another_thread_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, clean_exit.PREFECT_THREADS, None)
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, args=(30,), name="worker", daemon=True)
    thread.start()
    begun = time.monotonic()
    clean_exit.release()
    assert time.monotonic() - begun < clean_exit.WAIT_SECONDS
    stop.set()
