"""How a run ended, written down with its reports and tables, whatever happened in it."""

import asyncio
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from prefect.exceptions import TerminationSignal

from kasasagi.blocks.dispatch.budget import BudgetSpentError
from kasasagi.blocks.workspace.runs import SCRATCH, Run
from kasasagi.flows.rebuild.label_audit import keep_audit
from kasasagi.tasks.gate.outcome import GateFailedError
from kasasagi.tasks.reports import keep_reports
from kasasagi.tasks.tables.run_tables import build_database

EXIT_GATE = 3


@contextmanager
def ended_state(run: Run) -> Iterator[None]:
    """Write down how a run ended, and build its tables, whatever happened."""
    try:
        yield
        keep_reports(run)
        build_database(run)
    except BaseException as error:
        with suppress(Exception):  # a person must hear what went wrong first; without tables the shards are read
            keep_reports(run)
            keep_audit(run)
            build_database(run)
        with suppress(OSError):
            _end(run, *_ending(error))
        raise
    else:
        _end(run, "done", 0, None)


def _ending(error: BaseException) -> tuple[Any, int, str]:
    if isinstance(error, GateFailedError):
        return "stopped", EXIT_GATE, f"a gate failed: {error}"
    if isinstance(error, BudgetSpentError):
        return "stopped", error.exit_code, str(error)
    if isinstance(error, KeyboardInterrupt | asyncio.CancelledError | TerminationSignal):
        return "stopped", 130, "interrupted"
    return "failed", 1, str(error) or type(error).__name__


def _end(run: Run, status: Any, code: int, error: str | None) -> None:
    shutil.rmtree(run.folder / SCRATCH, ignore_errors=True)
    ended = {"status": status, "exit_code": code, "error": error, "ended": time.time()}
    run.save(run.state().model_copy(update=ended))
