"""A workspace: the folder that holds the ledger, the shards and the runs."""

import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, TypeVar

import orjson
from filelock import FileLock
from pydantic import Field

from kasasagi.blocks.models.kinds import Config
from kasasagi.blocks.processes import is_alive, start_time
from kasasagi.blocks.workspace.shards import Account, Handle, ShardStore

Status = Literal["running", "done", "failed", "stopped", "killed"]
Product = Literal["pairs", "responses", "instructions"]
UNJUDGED = "strong_vs_weak"
"""The strategy of pairs that needs no judge."""
LATEST = "latest"
ENVIRONMENT_NAME = "KASASAGI_WORKSPACE"
OWN_FOLDERS = ("approvals", "ledger", "locks", "prefect", "rejudged", "results", "runs", "shards", "vllm")
SCRATCH = "scratch"
"""The folder of a run for what is removed when it ends."""
Read = TypeVar("Read")


class WorkspaceError(Exception):
    """The workspace cannot be used, or has no such run."""


class NoSuchRunError(WorkspaceError):
    """The workspace has no run of the name that a caller gave, or none at all."""

    exit_code = 2


class RunState(Config):
    """What is known of a run from outside: its recipe's name, how far it is, and how it ended."""

    run: str = Field(description="The run's id.")
    name: str = Field(description="The recipe's name.")
    status: Status = Field(description="running, done, failed, stopped (by a gate, a budget or a person), killed.")
    started: float = Field(description="Seconds since the epoch.")
    ended: float | None = Field(None, description="Seconds since the epoch.")
    base: str = Field("", description="The folder that the recipe's relative paths start from.")
    limit: int | None = Field(None, description="How many rows of the source to read; None reads all.")
    pid: int = Field(description="The process that runs it.")
    pid_started: float = Field(0.0, description="When that process started, so that a reused number is noticed.")
    exit_code: int | None = Field(None, description="0 done, 1 failed, 3 a gate stopped it, 4 the budget stopped it.")
    error: str | None = Field(None, description="Why it ended, in one sentence.")
    publishable: bool = Field(False, description="Whether every stage is done, every gate passed, and there is a row.")
    published: str | None = Field(None, description="Where the dataset is.")
    hub: str | None = Field(None, description="Its page on the Hub.")
    places: tuple[str, ...] = Field((), description="All places where it was published, the last one last.")
    flow_run: str | None = Field(None, description="The id of its flow run in Prefect.")
    preview: bool = Field(False, description="Whether it only previews its recipe and publishes nothing.")

    @property
    def all_places(self) -> tuple[str, ...]:
        """All places where the dataset was published; a run of an earlier version knows only the last ones."""
        return self.places or tuple(place for place in (self.published, self.hub) if place is not None)

    @property
    def has_dataset(self) -> bool:
        """Whether the run made a dataset to look at and to publish: it ended well, or failed only at publishing."""
        ready = self.status == "done" or (self.publishable and self.status != "running")
        return ready and not self.preview


class RunHandle(Config):
    """One line of a run's handles: a chunk's handle as this run counts it."""

    handle: Handle = Field(description="The chunk's shards.")
    reused: bool = Field(description="Whether an earlier run made it.")
    account: Account = Field(description="Its account in this run.")


class Workspace:
    """The folder of a workspace and what lies where in it."""

    def __init__(self, folder: Path, scratch: Path | None = None) -> None:
        """Take the folder of a workspace, and one for new shards where they are to lie apart."""
        self.folder = folder.resolve()
        self._scratch = scratch
        self.ledger_folder = self.folder / "ledger"
        self.results_folder = self.folder / "results"
        self.gate_outcomes_folder = self.results_folder / "gates"
        self.report_results_folder = self.results_folder / "reports"
        self.runs_folder = self.folder / "runs"

    @classmethod
    def resolve(cls, folder: str | Path | None = None) -> "Workspace":
        """Return the workspace of that folder, else of KASASAGI_WORKSPACE, else of ./workspace."""
        return cls(Path(folder or os.environ.get(ENVIRONMENT_NAME) or "workspace"))

    @property
    def shards(self) -> ShardStore:
        """The store of shards."""
        kept = ShardStore(self.folder / "shards")
        return kept if self._scratch is None else ShardStore(self._scratch, kept)

    @property
    def own_folders(self) -> tuple[Path, ...]:
        """The folders in it that only kasasagi may write to, whether they exist or not."""
        return tuple(self.folder / name for name in OWN_FOLDERS)

    def prepare(self) -> None:
        """Make the folders.

        Raises:
            WorkspaceError: If they cannot be written.
        """
        try:
            for folder in (self.ledger_folder, self.results_folder, self.runs_folder, self.folder / "locks"):
                folder.mkdir(parents=True, exist_ok=True)
            (self.folder / ".writable").touch()
            (self.folder / ".writable").unlink(missing_ok=True)
        except OSError as error:
            raise WorkspaceError(
                f"the workspace {self.folder} cannot be written ({error.strerror}): "
                f"name another with --workspace or {ENVIRONMENT_NAME}"
            ) from error

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold a lock that other processes respect and that ends with this process."""
        folder = self.folder / "locks" / name[:2]
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{name}.lock"):
            yield

    @contextmanager
    def temporary_run(self, name: str) -> Iterator["Run"]:
        """Make the folder of a run that leaves nothing behind but shards."""
        run = Run(self, new_run_id(name))
        run.folder.mkdir(parents=True)
        try:
            yield run
        finally:
            shutil.rmtree(run.folder, ignore_errors=True)

    def runs(self) -> list[RunState]:
        """Return all runs, the latest first."""
        states = []
        for file in self.runs_folder.glob("*/run.json"):
            with suppress(WorkspaceError):  # one run that cannot be read must not hide the others
                states.append(Run(self, file.parent.name).state())
        return sorted(states, key=lambda state: state.started, reverse=True)

    def run(self, name: str | None = None, newest: bool = False) -> "Run":
        """Return the run of that id or beginning of an id.

        For None or `latest` it is the latest that has a dataset, or the newest of all where none has one; with `newest`
        always the newest of all. Raises NoSuchRunError.
        """
        name = None if name == LATEST else name
        states = self.runs()
        if name is None:
            found = [state.run for state in states if state.has_dataset and not newest] or [s.run for s in states[:1]]
        else:
            found = [state.run for state in states if state.run == name]
            found = found or [state.run for state in states if name and state.run.startswith(name)]
        if not found or (name and len(found) > 1):
            raise NoSuchRunError(self._no_single_run(name, found, states))
        return Run(self, found[0])

    def _no_single_run(self, name: str | None, found: Sequence[str], states: Sequence[RunState]) -> str:
        if found:
            several = f"{name!r} matches several runs in the workspace {self.folder}"
            return f"{several}; write more of one: {', '.join(found[:5])}"
        if not states:
            return f"there is no run in the workspace {self.folder}; run a recipe first, or name another workspace"
        what = "there is no run" if name is None else f"no run matches {name!r}"
        latest = ", ".join(state.run for state in states[:5])
        return f"{what} in the workspace {self.folder}; the latest runs are: {latest}"


class Run:
    """The folder of one run: its recipe, its state, its handles and, at the end, its tables."""

    keeps_calls = True
    """Whether its chunks keep a row of each call."""

    def __init__(self, workspace: Workspace, run: str) -> None:
        self.workspace = workspace
        self.id = run
        self.folder = workspace.runs_folder / run
        self.database = self.folder / "run.duckdb"
        self.recipe_file = self.folder / "recipe.json"
        self._handles_file = self.folder / "handles.jsonl"

    @classmethod
    def begin(
        cls,
        workspace: Workspace,
        run: str,
        name: str,
        recipe: dict[str, Any],
        base: Path | None = None,
        limit: int | None = None,
    ) -> "Run":
        """Make the folder of a new run and say that it is running."""
        new = cls(workspace, run)
        new.folder.mkdir(parents=True)
        new.recipe_file.write_bytes(orjson.dumps(recipe, option=orjson.OPT_INDENT_2))
        new.save(
            RunState(
                run=run,
                name=name,
                status="running",
                started=time.time(),
                base=str(base or ""),
                limit=limit,
                pid=os.getpid(),
                pid_started=start_time(),
            )
        )
        return new

    def save(self, state: RunState) -> None:
        """Write the state, whole or not at all."""
        new = self.folder / "run.json.new"
        new.write_text(state.model_dump_json(indent=2), encoding="utf-8")
        new.replace(self.folder / "run.json")

    def state(self) -> RunState:
        """Return the state; a run that never ended, and whose process is gone, was killed."""
        state = _whole(self.folder / "run.json", RunState.model_validate_json)
        if state.status == "running" and not is_alive(state.pid, state.pid_started):
            return state.model_copy(update={"status": "killed"})
        return state

    def record_models(self, identities: Collection[str]) -> None:
        """Write down which models this run asks, by what the ledger knows them by, so that upkeep leaves them alone."""
        new = self.folder / "models.json.new"
        new.write_bytes(orjson.dumps(sorted(set(identities))))
        new.replace(self.folder / "models.json")

    def recorded_models(self) -> list[str] | None:
        """Return the models that this run asks; None where it has not recorded them yet."""
        try:
            return [str(model) for model in orjson.loads((self.folder / "models.json").read_bytes())]
        except (OSError, ValueError, TypeError):
            return None

    def add(self, handle: Handle, reused: bool) -> RunHandle:
        """Count a chunk in this run; a later handle of the same stage and chunk takes the place of an earlier one."""
        line = RunHandle(
            handle=handle, reused=reused, account=handle.account.without_costs() if reused else handle.account
        )
        with self._handles_file.open("ab") as file:
            file.write(line.model_dump_json().encode() + b"\n")
        return line

    def handles(self) -> list[RunHandle]:
        """Return the chunks that are done, in the order of their stages; an unfinished last line is not there yet."""
        if not self._handles_file.exists():
            return []
        return _whole(self._handles_file, _latest_handles)

    def recipe(self) -> dict[str, Any]:
        """Return the recipe that was run, as plain data."""
        return _whole(self.recipe_file, lambda data: dict(orjson.loads(data)))

    def product(self) -> Product:
        """Return what its dataset is made of, by its recipe: pairs where runs are mixed, where there is a judge or
        a stronger model is named.
        """
        recipe = self.recipe()
        source = recipe.get("source")
        if (
            source is None
            or source.get("kind") == "runs"
            or recipe.get("judge")
            or recipe.get("pairs", {}).get("strategy") == UNJUDGED
        ):
            return "pairs"
        if source.get("responses") is not None:
            return "pairs"
        return "responses" if "respond" in recipe else "instructions"


def new_run_id(name: str) -> str:
    """Return an id that sorts by time and holds the recipe's name."""
    plain = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-").lower()
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{plain}-{secrets.token_hex(2)}"


def _latest_handles(data: bytes) -> list[RunHandle]:
    latest: dict[tuple[str, int], RunHandle] = {}
    for line in data.split(b"\n")[:-1]:
        counted = RunHandle.model_validate_json(line)
        latest[counted.handle.stage, counted.handle.chunk] = counted
    return list(latest.values())


def _whole(file: Path, read: Callable[[bytes], Read]) -> Read:
    """Return what stands in a file of a run.

    Raises:
        WorkspaceError: If it is not what a run writes.
    """
    data = file.read_bytes()
    try:
        return read(data)
    except (ValueError, TypeError) as error:
        raise WorkspaceError(
            f"{file} is damaged, so its run cannot be read ({str(error).splitlines()[0]}): run the recipe again, "
            "what was paid for is kept"
        ) from error
