"""Device locks: engines that share a device hold it one at a time; an idle engine releases it for the next one."""

import threading
from collections.abc import Callable, Hashable

POLL_S = 0.2
_DEVICES: dict[Hashable, "Device"] = {}
_MAKING = threading.Lock()


class Device:
    """A device that one engine may hold at a time."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting = 0
        self._holder: object | None = None

    def take(self, engine: object, given_up: Callable[[], bool]) -> bool:
        """Wait until nobody else holds the device; False if that was given up meanwhile."""
        with self._changed:
            self._waiting += 1
            try:
                while self._holder not in (None, engine):
                    if given_up():
                        return False
                    self._changed.wait(POLL_S)
                self._holder = engine
                return True
            finally:
                self._waiting -= 1

    def wanted(self) -> bool:
        """Whether somebody waits for the device."""
        return self._waiting > 0

    def give(self, engine: object) -> None:
        """Give the device up, if the engine holds it."""
        with self._changed:
            if self._holder is engine:
                self._holder = None
                self._changed.notify_all()


def device(name: Hashable) -> Device:
    """The device of a name, the same one for all engines of this process."""
    with _MAKING:
        return _DEVICES.setdefault(name, Device())
