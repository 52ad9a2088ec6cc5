"""The garbage collector kept away from where it finds nothing and costs much: imports, and all that they made."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from kasasagi.blocks import clean_exit  # noqa: F401 - what is frozen here is released at the interpreter's end


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
