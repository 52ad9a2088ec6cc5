"""Device locks: engines that share a device hold it one at a time; an idle engine releases it for the next one."""

import threading
from collections.abc import Callable, Hashable

POLL_S = 0.2
_LOCKS: dict[Hashable, "DeviceLock"] = {}
_MAKING = threading.Lock()


class DeviceLock:
    """A lock on a device that one engine holds at a time."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting = 0
        self._holder: object | None = None

    def acquire(self, engine: object, is_cancelled: Callable[[], bool]) -> bool:
        """Wait until no other engine holds the device; return False if the wait was cancelled."""
        with self._changed:
            self._waiting += 1
            try:
                while self._holder not in (None, engine):
                    if is_cancelled():
                        return False
                    self._changed.wait(POLL_S)
                self._holder = engine
                return True
            finally:
                self._waiting -= 1

    def is_contended(self) -> bool:
        """Return whether another engine waits for the device."""
        return self._waiting > 0

    def release(self, engine: object) -> None:
        """Release the device, if the engine holds it."""
        with self._changed:
            if self._holder is engine:
                self._holder = None
                self._changed.notify_all()


def device_lock(name: Hashable) -> DeviceLock:
    """Return the lock of a device's name, the same one for all engines of this process."""
    with _MAKING:
        return _LOCKS.setdefault(name, DeviceLock())
