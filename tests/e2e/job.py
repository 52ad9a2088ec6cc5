"""A job as a user has it: a folder with prompts, a recipe, a workspace and an output folder, and a server to ask."""

import json
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
import yaml

from tests.e2e.command import Command, Ended, Running
from tests.e2e.warm import Warmed
from tests.fake_server import FakeServer

MODELS = ("small", "large", "critic")
CONCURRENCY = 16
# What a kill may cost: each slot has a call in flight, and at most one answer that is being written down.
LOSABLE = 2 * CONCURRENCY


def prompt_rows(count: int, start: int = 0) -> list[dict[str, Any]]:
    """Prompts that differ, every third in Japanese."""
    return [
        {
            "id": number,
            "prompt": f"{number}番目の駅までの道を、やさしい言葉で説明してください。"
            if number % 3 == 0
            else f"Explain to a friend what makes the number {number} useful.",
        }
        for number in range(start, start + count)
    ]


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A mapping with another laid over it, level by level."""
    result = dict(base)
    for name, value in changes.items():
        deeper = isinstance(value, Mapping) and isinstance(result.get(name), Mapping)
        result[name] = merged(result[name], value) if deeper else value
    return result


def recipe_for(base_url: str, **changes: Any) -> dict[str, Any]:
    """Two models and a judge at one address; changes are laid over it."""
    model = {"kind": "openai", "base_url": base_url, "max_concurrency": CONCURRENCY}
    recipe = {
        "name": "pairs",
        "source": {"kind": "dataset", "path": "prompts.jsonl", "columns": {"instruction": "prompt"}, "keep": ["id"]},
        "models": {name: {**model, "model": name} for name in MODELS},
        "respond": {"models": ["small", "large"], "sampling": {"temperature": 0.8, "max_tokens": 512}},
        "judge": {"model": "critic", "orders": "both", "sampling": {"temperature": 0, "max_tokens": 1024}},
        "pairs": {"min_margin": 1},
        "publish": {"path": "out"},
    }
    return merged(recipe, changes)


class Job:
    """One folder with everything that a run needs; commands are called in it."""

    def __init__(
        self, folder: Path, server: FakeServer, environment: Mapping[str, str], warmed: Warmed | None = None
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.server = server
        self.command = Command(folder, environment, warmed)
        self.workspace = folder / "ws"
        self.out = folder / "out"
        self.recipe: dict[str, Any] = {}

    def prepare(self, prompts: int, **changes: Any) -> "Job":
        """Write the prompts and the recipe."""
        self.write_prompts(prompt_rows(prompts))
        return self.write_recipe(**changes)

    def write_prompts(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write some rows as the recipe's source."""
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
        (self.folder / "prompts.jsonl").write_text("".join(lines), encoding="utf-8")

    def write_recipe(self, **changes: Any) -> "Job":
        """Write the recipe with some changes against the plain one."""
        return self.write_plain(recipe_for(self.server.base_url, **changes))

    def write_plain(self, recipe: dict[str, Any]) -> "Job":
        """Write a recipe as it is."""
        self.recipe = recipe
        (self.folder / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
        return self

    def run(self, *arguments: object, **options: int) -> Ended:
        """`kasasagi run` to its end."""
        return self.start(*arguments, **options).wait()

    def start(self, *arguments: object, **options: int) -> Running:
        """`kasasagi run`, going on."""
        return self.command.start("run", "recipe.yaml", "-w", self.workspace, *arguments, **options)

    def newest(self) -> str:
        """The id of the run that started last, however it ended."""
        states = [json.loads(file.read_bytes()) for file in self.workspace.glob("runs/*/run.json")]
        return str(max(states, key=lambda state: state["started"])["run"])

    def sql(self, query: str, run: str | None = None) -> list[dict[str, Any]]:
        """Rows of the tables of a run (None: the newest), by the command."""
        ended = self.command("sql", run or self.newest(), query, "-w", self.workspace, "--format", "jsonl").succeeded()
        return [json.loads(line) for line in ended.out.splitlines()]

    def sql_of_run(self, *arguments: object) -> list[dict[str, Any]]:
        """Which responses are chosen and rejected by a run with some changes."""
        self.run(*arguments).succeeded()
        return self.sql("select prompt_id, chosen_id, rejected_id from pairs order by prompt_id")

    def published(self) -> bytes:
        """The published rows as they lie on disk."""
        return (self.out / "train.jsonl").read_bytes()

    def kept(self) -> int:
        """How many answers the ledger holds; asked of the file itself."""
        file = self.workspace / "ledger" / "ledger.sqlite"
        if not file.exists():
            return 0
        connection = sqlite3.connect(file)
        try:
            return int(connection.execute("SELECT count(*) FROM entries").fetchone()[0])
        except sqlite3.OperationalError:
            return 0  # the file is there, its table not yet
        finally:
            connection.close()

    def copy_of(self, other: "Job") -> "Job":
        """Take over the prompts, the workspace and the published folder of another job, as a clone of its folder."""
        shutil.copytree(other.workspace, self.workspace)
        shutil.copytree(other.out, self.out)
        shutil.copy(other.folder / "prompts.jsonl", self.folder)
        return self


def sent(server: FakeServer) -> int:
    """How many samples were begun at the server."""
    return int(server.stats()["samples_begun"])


def sent_by_model(server: FakeServer) -> dict[str, int]:
    """How many samples were begun at the server, by model; those without any left out."""
    models = server.stats()["by_model"].items()
    return {name: counters["samples_begun"] for name, counters in models if counters["samples_begun"]}


def begun(server: FakeServer) -> Counter[str]:
    """How often each sample was begun, by its digest."""
    return Counter({name: count["begun"] for name, count in server.samples().items()})


def processes_of(folder: Path) -> list[str]:
    """Command lines of the processes that know a folder: by an argument, their environment or their current folder."""
    found = []
    for process in psutil.process_iter():
        if process.pid != psutil.Process().pid and str(folder) in _traces(process):
            found.append(f"{process.pid}: {' '.join(process.cmdline())}")
    return found


def _traces(process: psutil.Process) -> str:
    try:
        return "\n".join([*process.cmdline(), process.cwd(), *process.environ().values()])
    except (psutil.Error, OSError):
        return ""


def files_below(folder: Path) -> Iterator[Path]:
    """All files of a folder and the folders in it."""
    return (path for path in folder.rglob("*") if path.is_file())


def tree(folder: Path) -> dict[str, bytes]:
    """What lies in a folder: content by relative name."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in files_below(folder)}
