"""A recipe taken through all stages in this process: no Prefect, no server, and a record of what each stage asked.

This is the one module that knows how the product drives its stages. When that changes, this module follows, and the
expected files stay as they are.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

import pyarrow.parquet as pq

from kasasagi.blocks.canonical import digest
from kasasagi.blocks.dispatch.dispatcher import Dispatcher
from kasasagi.blocks.dispatch.pending_requests import Question
from kasasagi.blocks.engines.kinds import engines_for, identity_of
from kasasagi.blocks.ledger.claims import Claims
from kasasagi.blocks.ledger.store import Ledger, LedgerEntry
from kasasagi.blocks.models.llm import Completion, Engine
from kasasagi.blocks.workspace.runs import Run, Workspace
from kasasagi.blocks.workspace.shards import Handle
from kasasagi.flows.planning import plan_recipe
from kasasagi.flows.preference import make_pairs, make_prompts
from kasasagi.flows.recipe.loading import LoadedRecipe
from kasasagi.flows.run.active import ActiveRun
from kasasagi.flows.run.driver import Chunk
from kasasagi.flows.run.gating import Gates
from kasasagi.flows.run.options import Options
from kasasagi.tasks.asking import Session
from kasasagi.tasks.context import Context, activate
from kasasagi.tasks.plans.counting import StagePlan
from kasasagi.tasks.stage_task import StageTask
from tests.golden.answers import answer
from tests.tasks.helpers import AnsweringDispatcher


class Recorder(AnsweringDispatcher):
    """Answers each question by a function, and keeps every answer."""

    refused_by = None
    refused_ranks: frozenset[int] = frozenset()

    def __init__(self, workspace: Workspace, models: Any, engines: dict[str, Engine]) -> None:
        super().__init__(workspace.ledger_folder, models, self._kept)
        self.entries: list[LedgerEntry] = []
        self._engines = engines

    def _kept(self, question: Question) -> Completion:
        self.entries.append(LedgerEntry(question.key, question.label, answer(question)))
        return self.entries[-1].completion

    def engine(self, label: str) -> Engine:
        return self._engines[label]

    def finish_first(self) -> None:
        """No chunk waits for another here."""


@dataclass
class Driven:
    """What a recipe asked: ledger keys by stage, cache keys by stage and chunk, and every answer."""

    ledger_keys: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    cache_keys: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    entries: list[LedgerEntry] = field(default_factory=list)


def drive(loaded: LoadedRecipe, folder: Path, rows: int) -> Driven:
    """Take so many rows of a recipe's source through all its stages, in a new workspace in that folder."""
    workspace, recipe = Workspace(folder), loaded.recipe
    workspace.prepare()
    run = Run.begin(workspace, "golden", recipe.name, recipe.plain(), loaded.base, rows)
    engines = engines_for(recipe.models, folder / "vllm", loaded.base)
    identities = {label: identity_of(model, engines, label) for label, model in recipe.models.items()}
    recorder, driven = Recorder(workspace, recipe.models, engines), Driven()
    with Claims(workspace, run.id) as claims, content_digests():
        dispatcher = cast(Dispatcher, recorder)
        session = Session(run, recipe.models, identities, dispatcher, claims, base=loaded.base)
        context = Context(session, recipe, loaded.base, rows)
        with activate(context):
            asyncio.run(_made(AtOnce(context, Options(workspace, publish=False), recorder, driven)))
    driven.entries = recorder.entries
    return driven


async def _made(run: "AtOnce") -> None:
    await make_pairs(run, await make_prompts(run))


class AtOnce(ActiveRun):
    """Does every chunk at once, in this thread, and records it."""

    def __init__(self, context: Context, options: Options, recorder: Recorder, driven: Driven) -> None:
        super().__init__(context, options)
        self._recorder, self._driven = recorder, driven
        self.judging = cast(Gates, NoGates())

    async def do(self, task: StageTask, chunk: Chunk) -> Chunk:
        job = self.job(task, chunk)
        before = len(self._recorder.asked)
        handle = Handle.model_validate(task.fn(job))
        self._driven.cache_keys[job.stage][str(job.chunk)] = job.cache_key
        self._driven.ledger_keys[job.stage] += [question.key for question in self._recorder.asked[before:]]
        self.session.run.add(handle, reused=False)
        return chunk.done(handle)


class NoGates:
    """Gates that nothing has to pass."""

    whole_stages = ()

    def scouts(self, _: object) -> list[Any]:
        return []

    async def gate(self, *_: object) -> list[Any]:
        return []


@contextmanager
def content_digests() -> Iterator[None]:
    """Name shards by their rows, so that no version of pyarrow or DuckDB changes the keys that contain the names."""

    def digest_of_rows(file: Path) -> str:
        table = pq.read_table(file)
        rows = [{name: _plain(value) for name, value in row.items()} for row in table.to_pylist()]
        return digest([table.column_names, rows])

    with patch("kasasagi.blocks.workspace.shards.digest_file", digest_of_rows):
        yield


def _plain(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value


def plans(loaded: LoadedRecipe, folder: Path, rows: int, known: list[LedgerEntry]) -> list[StagePlan]:
    """Return the plan of a recipe in a new workspace whose ledger has some answers."""
    workspace = Workspace(folder)
    workspace.prepare()
    ledger = Ledger(workspace.ledger_folder)
    ledger.append(known)
    ledger.close()
    with content_digests():
        return plan_recipe(loaded, workspace, rows, frozenset())
