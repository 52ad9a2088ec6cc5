"""Run a recipe from this process, from the command line or from a notebook: with a Prefect server, and an exit code."""

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kasasagi.blocks import telemetry
from kasasagi.blocks.file_limit import raise_file_limit
from kasasagi.blocks.gc_pause import gc_paused
from kasasagi.blocks.models.kinds import OpenAIModel
from kasasagi.blocks.workspace.runs import Run, RunState, Workspace
from kasasagi.flows.check.before_start import problems_before_start
from kasasagi.flows.recipe.errors import RecipeError
from kasasagi.flows.recipe.loading import LoadedRecipe, load_recipe, only_new
from kasasagi.flows.recipe.python_rows import source_of
from kasasagi.flows.reporting.report_timeouts import Reports
from kasasagi.flows.run.options import Options, call_with
from kasasagi.flows.server.private_server import prefect_server
from kasasagi.flows.signals import sigterm_as_interrupt

if TYPE_CHECKING:
    import pandas as pd

HISTORY_SECONDS = 5.0


class Result:
    """The result of a run: its state, and its tables as data frames."""

    def __init__(self, run: Run) -> None:
        self.run = run

    @property
    def state(self) -> RunState:
        """How the run ended."""
        return self.run.state()

    @property
    def tables(self) -> "Mapping[str, pd.DataFrame]":
        """The run's tables by name, such as pairs; each is read on first use."""
        from kasasagi.flows.views.tables.pandas_frames import tables

        return tables(self.run)


def run_recipe(
    recipe: str | Path,
    overrides: Sequence[str] = (),
    *,
    rows: int | Iterable[Mapping[str, Any]] | None = None,
    workspace: str | Path | None = None,
    options: Options | None = None,
) -> Result:
    """Run a recipe as a Prefect flow and return its result; works in a notebook too.

    Args:
        recipe: A recipe's file, or the name of one that ships with kasasagi.
        overrides: Changes to the recipe, each like judge.orders=both.
        rows: Read only that many rows of the source; or rows to use instead of the source, such as
            [{"instruction": "Why is the sky blue?"}].
        workspace: Folder of the ledger and the runs; None means KASASAGI_WORKSPACE, else ./workspace.
        options: How the command line runs a recipe; a notebook needs none.

    Returns:
        The run's state, and its tables as data frames.

    Raises:
        RecipeError: The recipe is not valid.
        UsageError: The call contradicts the recipe or the workspace.
        GateFailedError: A gate stopped the run; nothing is published.
        ModelUnusableError: No call to a model can succeed, for instance because its key is refused.
        LedgerError: The ledger cannot be read or written.
    """
    quiet_terminal()
    raise_file_limit()
    loaded = load_recipe(str(recipe), overrides)  # an invalid recipe fails before anything starts
    chosen = replace(options or Options(Workspace.resolve(workspace)), reports=Reports())
    chosen.workspace.prepare()
    limit, settings = _limit_and_overrides(rows, loaded, overrides, chosen.workspace)
    _refuse_faults(load_recipe(str(recipe), settings), chosen)
    from kasasagi.tasks.gate.evaluation.gate_process import GateProcess

    chosen.gate_process = GateProcess()
    with sigterm_as_interrupt(), chosen.gate_process, prefect_server(chosen.workspace.folder / "prefect") as server:
        chosen.gate_process.begin_where_all_is_new(chosen.workspace)
        _import_all(loaded, chosen.workspace)  # takes as long as the server's start, which runs meanwhile
        server.wait_until_ready()
        try:
            name = _in_own_loop(lambda: _call(str(recipe), settings, limit, chosen), chosen.reports)
        finally:
            if chosen.reports.unreported:
                chosen.log(f"Prefect did not record the end of this run: {chosen.reports.unreported}")
            if chosen.reports.abandoned:
                server.kill()
            else:
                send_history()
    return Result(chosen.workspace.run(name))


def _refuse_faults(loaded: LoadedRecipe, options: Options) -> None:
    """Raise RecipeError with every fault of a recipe that shows before a server is started or a model asked."""
    if options.published:  # that run reads what is published, and publishes nothing
        return
    loaded = only_new(loaded) if options.new_only else loaded
    if problems := problems_before_start(loaded, options.workspace, publish=options.publish):
        raise RecipeError("\n".join(problems))


def _limit_and_overrides(
    rows: int | Iterable[Mapping[str, Any]] | None, loaded: LoadedRecipe, overrides: Sequence[str], workspace: Workspace
) -> tuple[int | None, list[str]]:
    """Return how many rows are read at most, and the overrides, with rows from Python as the source."""
    if rows is None or isinstance(rows, int):
        return rows, list(overrides)
    return None, [*overrides, source_of(rows, loaded, workspace)]


def _import_all(loaded: LoadedRecipe, workspace: Workspace) -> None:
    """Import what every run needs, and the client of servers where no answer can be in the ledger yet."""
    with gc_paused():
        import kasasagi.flows.instructions

        import_module("pandas")  # Arrow asks for it once rows become a table
        import_module("fastapi")  # Prefect asks for it once a flow begins
        if not any(workspace.ledger_folder.iterdir()) and any(
            isinstance(model, OpenAIModel) for model in loaded.recipe.models.values()
        ):
            import kasasagi.blocks.dispatch.server_lane  # noqa: F401


async def _call(recipe: str, overrides: list[str], rows: int | None, options: Options) -> str:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from kasasagi.flows.instructions import instructions
    from kasasagi.flows.mix import mix
    from kasasagi.flows.preference import preference

    call_with(options)
    loaded = load_recipe(recipe, overrides).recipe
    flow = mix if loaded.mixes else preference if loaded.answers else instructions
    # A notebook may have imported Prefect, and with it its settings, before there was a server.
    with temporary_settings({PREFECT_API_URL: os.environ["PREFECT_API_URL"]}):
        return await options.reports.wait_for(flow(recipe, overrides, rows or 0, str(options.workspace.folder)))


def _in_own_loop(work: Callable[[], Coroutine[Any, Any, str]], reports: Reports) -> str:
    """Run a coroutine to its end, in a thread of its own where this thread has a loop already (a notebook)."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return _run(work(), reports)
    return _in_a_thread(work, reports)


def _run(work: Coroutine[Any, Any, str], reports: Reports) -> str:
    """Run a coroutine as asyncio.run does, but leave behind what waits for a Prefect that does not answer."""
    runner = asyncio.Runner()
    try:
        return runner.run(work)
    finally:
        if not reports.abandoned:
            runner.close()


def _in_a_thread(work: Callable[[], Coroutine[Any, Any, str]], reports: Reports) -> str:
    """Run a coroutine in a thread; an interrupt of this one ends it as cleanly as Ctrl-C at a terminal does."""
    outcome: Future[str] = Future()
    tasks: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any] | None]] = []

    async def tracked() -> str:
        tasks.append((asyncio.get_running_loop(), asyncio.current_task()))
        return await work()

    def run() -> None:
        try:
            outcome.set_result(_run(tracked(), reports))
        except BaseException as error:
            outcome.set_exception(error)

    thread = threading.Thread(target=run, name="kasasagi-run", daemon=True)
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
    telemetry.switch_off_telemetry()
    if not os.environ.get("KASASAGI_DEBUG"):
        os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
        os.environ.setdefault("PREFECT_LOGGING_LOGGERS_PREFECT_FLOW_RUNS_LEVEL", "INFO")
        os.environ.setdefault("PREFECT_INTERNAL_LOGGING_LEVEL", "CRITICAL")
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)


def send_history() -> None:
    """Send the log lines and events that Prefect still holds, so that the server's history is whole."""
    with suppress(Exception):
        from prefect.events.worker import EventsWorker
        from prefect.logging.handlers import APILogWorker

        for worker in (EventsWorker, APILogWorker):
            worker.drain_all(timeout=HISTORY_SECONDS)
