"""The garbage collector kept away from where it finds nothing and costs much: imports, and all that they made."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from kasasagi.blocks import clean_exit  # noqa: F401 - what is frozen here is released at the interpreter's end

SWITCH_SECONDS = 0.001
USUAL_SWITCH_SECONDS = sys.getswitchinterval()
USUAL_THRESHOLDS = gc.get_threshold()
"""Both are read once: where two runs overlap in one process, the second would take those of the first for the usual."""
THRESHOLDS = (10_000, 20, 20)
"""Objects are searched for garbage more rarely: a run makes many that live as long as a call or a chunk."""


@contextmanager
def gc_paused() -> Iterator[None]:
    """Collect no garbage while heavy modules are imported, and never search what they made.

    An import of thousands of objects that all stay is else searched again and again, which is a sixth of its time.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()


@contextmanager
def responsive() -> Iterator[None]:
    """Let the dispatcher's thread answer servers at once while chunks are worked on in other threads.

    Threads give way to each other after a millisecond instead of five, and the objects of all that was imported are
    no longer searched for garbage, which would stop every thread for tenths of a second again and again; the others
    are searched more rarely.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(USUAL_SWITCH_SECONDS)
        gc.set_threshold(*USUAL_THRESHOLDS)
        gc.unfreeze()
