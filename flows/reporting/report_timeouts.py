"""What is reported to Prefect has a bound in time: a run is what its own state says, whatever happens to Prefect."""

import asyncio
import time
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

AT_THE_END_S = 10.0
DETAIL_CHARS = 160
T = TypeVar("T")


class Reports:
    """The reports of one run to Prefect: the time that is left for them at its end, and what came of the run."""

    def __init__(self, seconds: float = AT_THE_END_S) -> None:
        self.seconds = seconds
        self.abandoned = False
        self.unreported: str | None = None
        self._left = seconds
        self._closed = asyncio.Event()
        self._run = ""
        self._error: BaseException | None = None

    async def within(self, report: Awaitable[T]) -> T:
        """Make a report of a run that has ended, in the time that is left for all of them. Raises TimeoutError."""
        begun = time.monotonic()
        try:
            return await asyncio.wait_for(report, self._left)
        finally:
            self._left = max(0.0, self._left - (time.monotonic() - begun))

    def close(self, run: str, error: BaseException | None) -> None:
        """Note what came of a run, once its own state is written and all is reported."""
        self._run, self._error = run, error
        self._closed.set()

    async def wait_for(self, flow_run: Coroutine[Any, Any, object]) -> str:
        """Wait for a flow run, but for Prefect's own end of it only as long as there is time left for reports.

        Gives the run's id, and raises what the run itself raised.
        """
        running = asyncio.create_task(flow_run)
        closed = asyncio.create_task(self._closed.wait())
        try:
            await asyncio.wait({running, closed}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            running.cancel()
            await asyncio.wait({running, closed}, return_when=asyncio.FIRST_COMPLETED)
        closed.cancel()
        if not self._closed.is_set():
            return str(running.result())
        await asyncio.wait({running}, timeout=self._left)
        self._note(running)
        if self._error is not None:
            raise self._error
        return self._run

    def _note(self, running: "asyncio.Task[object]") -> None:
        """Note whether Prefect knows of the run's end, and if not, why."""
        if not running.done():
            self.abandoned, self.unreported = True, f"it did not answer within {self.seconds:g} s"
        elif not running.cancelled() and (error := running.exception()) not in (None, self._error):
            self.unreported = " ".join(str(error).split())[:DETAIL_CHARS]
