"""Options of one run that are not part of the recipe."""

from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kasasagi.blocks.workspace.runs import Run, Workspace
from kasasagi.flows.reporting.progress import Progress
from kasasagi.flows.reporting.report_timeouts import Reports
from kasasagi.tasks.gate.outcome import Outcome

if TYPE_CHECKING:
    from kasasagi.blocks.dispatch.dispatcher import Dispatcher
    from kasasagi.tasks.gate.evaluation.gate_process import GateProcess

Person = Callable[[Run, Sequence[Outcome], float], Awaitable[bool]]
"""Asks a person to approve some outcomes of a run, for at most this number of hours."""


@dataclass
class Options:
    """Where a run lies, what it leaves out, and where its messages go."""

    workspace: Workspace
    ask_again: frozenset[str] = frozenset()
    publish: bool = True
    new_only: bool = False
    published: bool = False
    log: Callable[[str], None] = field(default=lambda line: None)
    progress: Progress = field(default_factory=Progress)
    watch: "Callable[[Dispatcher, Run], None]" = field(default=lambda dispatcher, run: None)
    person: Person | None = None
    reports: Reports = field(default_factory=Reports)
    gate_process: "GateProcess | None" = None


_CALLER: ContextVar[Options | None] = ContextVar("caller", default=None)


def caller() -> Options | None:
    """Return what the caller of the flow wants; None where the flow runs by its parameters alone."""
    return _CALLER.get()


def call_with(options: Options) -> None:
    """Let the flows that are called in this context run as these options say."""
    _CALLER.set(options)
