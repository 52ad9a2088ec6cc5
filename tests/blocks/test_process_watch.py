"""The guard: what it guards ends with the process that started it, even one that is killed."""

import subprocess
import sys
import textwrap
from pathlib import Path

import psutil

from kasasagi.blocks.engines import process_watch
from tests.blocks.helpers import until

ROOT = Path(__file__).parents[2]
SLEEPER = "import time, subprocess, sys; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)']); "
FAMILY = SLEEPER + "print(p.pid, flush=True); time.sleep(300)"


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_guarded_command_and_its_children_end_when_the_guard_is_let_go() -> None:
    process = process_watch.start_guarded([sys.executable, "-c", FAMILY], stdout=subprocess.PIPE)
    assert process.stdout is not None
    child = int(process.stdout.readline())
    assert not gone(child)
    process_watch.end(process)
    process.stdout.close()
    assert gone(child)


def test_a_guard_ends_with_the_status_of_its_command() -> None:
    process = process_watch.start_guarded([sys.executable, "-c", "raise SystemExit(7)"])
    assert process.wait(30) == 7
    assert process_watch.end(process) == 7


def test_what_is_guarded_ends_when_the_parent_is_killed() -> None:
    code = f"""
        import subprocess, sys, time
        from kasasagi.blocks.engines import process_watch
        run = process_watch.start_guarded([sys.executable, "-c", {FAMILY!r}], stdout=subprocess.PIPE)
        child = int(run.stdout.readline())
        plain = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"], start_new_session=True)
        process_watch.watch_processes([plain.pid])
        print(child, plain.pid, flush=True)
        time.sleep(300)
    """
    parent = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    assert not any(map(gone, pids))
    parent.kill()
    parent.wait()
    parent.stdout.close()
    until(lambda: all(map(gone, pids)), 30)
