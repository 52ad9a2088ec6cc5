"""How a recipe is run this time: what is not of the recipe."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kasasagi.blocks.workspace.runs import Run, Workspace
from kasasagi.flows.reporting.ending import Reports
from kasasagi.flows.reporting.progress import Progress
from kasasagi.tasks.gate.outcome import Outcome

if TYPE_CHECKING:
    from kasasagi.blocks.dispatch.dispatcher import Dispatcher

Person = Callable[[Run, Sequence[Outcome], float], Awaitable[bool]]
"""Asks a person whether some outcomes of a run shall pass, for at most so many hours."""


@dataclass
class Options:
    """Where a run lies, how much of it is wanted, and where its messages go."""

    workspace: Workspace
    limit: int | None = None
    ask_again: frozenset[str] = frozenset()
    publish: bool = True
    new_only: bool = False
    published: bool = False
    log: Callable[[str], None] = field(default=lambda line: None)
    progress: Progress = field(default_factory=Progress)
    watch: "Callable[[Dispatcher, Run], None]" = field(default=lambda dispatcher, run: None)
    person: Person | None = None
    reports: Reports = field(default_factory=Reports)
