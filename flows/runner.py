"""Run a recipe from this process, from the command line or from a notebook: with a Prefect server, and an exit code."""

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blocks import quiet
from blocks.garbage import unsearched
from blocks.workspace import Run, RunState, Workspace
from flows.check_limits import limits_without_server
from flows.local_server import prefect_server
from flows.options import Options
from flows.recipe import load_recipe
from flows.recipe_errors import RecipeError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    import pandas as pd

HISTORY_SECONDS = 5.0


class Result:
    """A run that has ended: its state, and its tables as data frames."""

    def __init__(self, run: Run) -> None:
        self.run = run

    @property
    def state(self) -> RunState:
        """How it ended."""
        return self.run.state()

    @property
    def tables(self) -> "Mapping[str, pd.DataFrame]":
        """Its tables by name, each read when it is asked for."""
        from flows.views.frames import tables

        return tables(self.run)


def run_recipe(
    recipe: str | Path,
    overrides: Sequence[str] = (),
    *,
    rows: int | None = None,
    workspace: str | Path | None = None,
    options: Options | None = None,
) -> Result:
    """Run a recipe as a Prefect flow and give its tables; works in a notebook too.

    recipe is a file or the name of a recipe that travels with kasasagi; overrides look like judge.orders=both.
    Raises RecipeError, GateFailedError, ModelUnusableError, LedgerError and what else ends a run.
    """
    quiet_terminal()
    loaded = load_recipe(str(recipe), overrides)  # a recipe at fault is said before anything is started
    if faults := limits_without_server(loaded):
        raise RecipeError("\n".join(faults))
    chosen = options or Options(Workspace.named(workspace))
    chosen.workspace.prepare()
    with sigterm_as_interrupt(), prefect_server(chosen.workspace.folder / "prefect") as server:
        _import_all()  # takes as long as the server's start, which goes on meanwhile
        server.wait_until_ready()
        try:
            name = _in_own_loop(lambda: _call(str(recipe), list(overrides), rows, chosen))
        finally:
            send_history()
    return Result(chosen.workspace.run(name))


def _import_all() -> None:
    """Import what every run needs, and begin with what its first gate will wait for."""
    with unsearched():
        import flows.instructions  # noqa: F401
    from tasks.gate.judge import warm_up_beside

    warm_up_beside()


async def _call(recipe: str, overrides: list[str], rows: int | None, options: Options) -> str:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from flows.instructions import instructions
    from flows.preference import CALLER, preference

    CALLER.set(options)
    flow = preference if load_recipe(recipe, overrides).recipe.answers else instructions
    # A notebook may have imported Prefect, and with it its settings, before there was a server.
    with temporary_settings({PREFECT_API_URL: os.environ["PREFECT_API_URL"]}):
        return str(await flow(recipe, overrides, rows or 0, str(options.workspace.folder)))


def _in_own_loop(work: Callable[[], Coroutine[Any, Any, str]]) -> str:
    """Run a coroutine to its end, in a thread of its own where this thread has a loop already (a notebook)."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work())
    return _in_a_thread(work)


def _in_a_thread(work: Callable[[], Coroutine[Any, Any, str]]) -> str:
    """Run a coroutine in a thread; an interrupt of this one ends it as cleanly as Ctrl-C at a terminal does."""
    outcome: Future[str] = Future()
    tasks: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any] | None]] = []

    async def noted() -> str:
        tasks.append((asyncio.get_running_loop(), asyncio.current_task()))
        return await work()

    def run() -> None:
        try:
            outcome.set_result(asyncio.run(noted()))
        except BaseException as error:
            outcome.set_exception(error)

    thread = threading.Thread(target=run, name="kasasagi-run")
    try:
        thread.start()
        return outcome.result()
    except KeyboardInterrupt:
        for loop, task in tasks:
            if task is not None:
                loop.call_soon_threadsafe(task.cancel)
        thread.join()
        raise


def quiet_terminal() -> None:
    """Keep Prefect's own log lines and tracebacks off the terminal, except with --debug; its server gets them."""
    quiet.switch_off_telemetry()
    if not os.environ.get("KASASAGI_DEBUG"):
        os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
        os.environ.setdefault("PREFECT_LOGGING_LOGGERS_PREFECT_FLOW_RUNS_LEVEL", "INFO")
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)


@contextmanager
def sigterm_as_interrupt() -> "Iterator[None]":
    """Let SIGTERM stop a run as cleanly as Ctrl-C does; only the main thread can arrange it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(number: int, frame: "FrameType | None") -> None:
    """Do what Ctrl-C does now, even in a process that ignores it, as one that a script started behind an & does."""
    handler = signal.getsignal(signal.SIGINT)
    if not callable(handler):
        handler = signal.default_int_handler
    handler(signal.SIGINT, frame)


def send_history() -> None:
    """Send the log lines and events that Prefect still holds, so that the server's history is whole."""
    with suppress(Exception):
        from prefect.events.worker import EventsWorker
        from prefect.logging.handlers import APILogWorker

        for worker in (EventsWorker, APILogWorker):
            worker.drain_all(timeout=HISTORY_SECONDS)
