"""Whether a process is alive does not depend on the clock, and what earlier versions wrote is still understood."""

import os
import subprocess
import sys
import time

import psutil
import pytest

from kasasagi.blocks.processes import is_alive, start_time


def test_a_process_lives_until_it_ends() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    begun = start_time(child.pid)
    assert is_alive(child.pid, begun)
    assert not is_alive(child.pid, begun - 0.02)
    child.communicate(b"\n")
    assert not is_alive(child.pid, begun)


def test_a_start_in_seconds_since_the_epoch_is_understood() -> None:
    assert is_alive(os.getpid(), psutil.Process().create_time())
    assert not is_alive(os.getpid(), time.time() - 100_000)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the clock tells the start")
def test_a_step_of_the_clock_kills_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = start_time()
    created = psutil.Process.create_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: created(self) + 3600.0)
    assert is_alive(os.getpid(), begun)


@pytest.mark.parametrize("number", [-1, 0, 2**40])
def test_a_number_of_no_process_does_not_live(number: int) -> None:
    assert not is_alive(number, 1.0)
