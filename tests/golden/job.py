"""A small job against the tests' fake server, run as a user's script runs it, and what is visible of it."""

import asyncio
import hashlib
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import duckdb
import pyarrow.parquet as pq
import yaml

from kasasagi.blocks.canonical import digest
from kasasagi.flows.runner import Result, run_recipe
from tests.e2e.job import merged, prompt_rows, recipe_for
from tests.fake_server import FakeServer, FaultRates

SERVER: dict[str, Any] = {
    "models": ("small", "large", "critic"),
    "faults": FaultRates(refusal=0.03, truncated=0.02),
    "fault_models": ("small", "large"),
    "judge_unreadable": 0.02,
    "labeller_unreadable": 0.02,
    "judge_position_bias": 0.1,
}
CHANGES: dict[str, Any] = {
    "name": "golden",
    "filter": {"where": {"no_poor": "quality <> 'poor'"}},
    "tags": {"model": "critic", "kinds": ["category", "quality"]},
    "gates": {"on_fail": "warn"},
    "publish": {"formats": ["trl", "kto"]},
}
CHANGING = {"calls": ("attempts",), "stages": ("seconds",)}
"""Columns of tables that no two runs share."""
OTHERWISE = ("README.md", "manifest.json", "dataset/*.json", "*.arrow", "*.png", "*.svg")
"""Published files that tell of the day and of the versions of libraries."""
STAGES = ("load", "filter", "tags", "select", "respond", "judge", "format_dpo", "publish")
UNTIL_S = 60.0
PROMPTS = 48
ROWS_IN_A_CHUNK = 16
TABLES = "SELECT table_name FROM duckdb_tables() UNION SELECT view_name FROM duckdb_views() WHERE NOT internal"


@contextmanager
def models_served(prefect: str) -> Iterator[FakeServer]:
    """Serve models, while runs report to the Prefect server at that address."""
    with patch.dict(os.environ, {"PREFECT_API_URL": prefect}), FakeServer(**SERVER) as server:
        yield server


def write_job(folder: Path, prompts: int, base_url: str, **changes: Any) -> Path:
    """Write the prompts and the recipe of a job into a folder and return the recipe's file."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in prompt_rows(prompts)]
    (folder / "prompts.jsonl").write_text("".join(lines), encoding="utf-8")
    recipe = recipe_for(base_url, **merged(CHANGES, changes))
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    return folder / "recipe.yaml"


def run(recipe: Path, *overrides: str) -> Result:
    """Run a recipe in the workspace beside it, in chunks of few rows."""
    with patch("kasasagi.blocks.workspace.chunks.ROWS_IN_A_CHUNK", ROWS_IN_A_CHUNK):
        return run_recipe(recipe, [f"publish.path={recipe.parent / 'out'}", *overrides], workspace=recipe.parent / "ws")


def published(folder: Path) -> dict[str, str]:
    """Return the digest of each published file: of its bytes, or of its rows where a library writes the bytes."""
    files = [file for file in sorted(folder.rglob("*")) if file.is_file() and not any(map(file.match, OTHERWISE))]
    return {file.relative_to(folder).as_posix(): _digest(file) for file in files}


def _digest(file: Path) -> str:
    if file.suffix == ".parquet":
        return f"rows {digest(pq.read_table(file).to_pylist())}"
    return f"sha256 {hashlib.sha256(file.read_bytes()).hexdigest()}"


def tables(result: Result) -> dict[str, list[Any]]:
    """Return how many rows each table of a run has, and the digest of its columns and rows."""
    with duckdb.connect(str(result.run.database), read_only=True) as connection:
        names = sorted(name for (name,) in connection.execute(TABLES).fetchall())
        return {name: _rows(connection, name) for name in names}


def _rows(connection: duckdb.DuckDBPyConnection, name: str) -> list[Any]:
    left_out = f" EXCLUDE ({', '.join(CHANGING[name])})" if name in CHANGING else ""
    found = connection.execute(f"SELECT *{left_out} FROM {name}")
    columns = [column[0] for column in found.description or ()]
    rows = [[_rounded(value) for value in row] for row in found.fetchall()]
    return [len(rows), digest([columns, sorted(json.dumps(row, ensure_ascii=False) for row in rows)])]


def _rounded(value: Any) -> Any:
    """Return a value without the last digits of a sum, which depend on the order of its addends."""
    return round(value, 9) if isinstance(value, float) else value


def task_runs() -> list[str]:
    """Return the name and the state of each task run of the latest flow run, by stage and chunk."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: os.environ["PREFECT_API_URL"]}):
        found = asyncio.run(_ended_task_runs())
    # The run of a task without a name pattern has a random end.
    return sorted((f"{re.sub('^publish-.*', 'publish', name)}: {state}" for name, state in found), key=_place)


async def _ended_task_runs() -> list[tuple[str, str]]:
    """Wait until the server has taken note of the end of every task run."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
    from prefect.client.schemas.sorting import FlowRunSort

    end, before = time.monotonic() + UNTIL_S, None
    async with get_client() as client:
        [latest] = await client.read_flow_runs(sort=FlowRunSort.START_TIME_DESC, limit=1)
        while time.monotonic() < end:
            runs = await client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[latest.id])))
            now = [(run.name, (run.state.name or "") if run.state and run.state.is_final() else "") for run in runs]
            if now and now == before and all(state for _, state in now):
                return now
            before = now
            await asyncio.sleep(0.3)
    raise AssertionError(f"after {UNTIL_S:g} s not every task run has ended: {before}")


def _place(line: str) -> tuple[int, str, str]:
    """Return where a task run stands: at its stage, a gate behind the chunks."""
    name = line.split(":", maxsplit=1)[0]
    is_gate = name.startswith("gate-")
    stage, _, rest = name.removeprefix("gate-").partition("-")
    return STAGES.index(stage), "z" if is_gate else "", rest.zfill(6)


def seen(recipe: Path) -> dict[str, Any]:
    """Run a recipe and return what is visible of the run: published files, tables, task runs."""
    result = run(recipe)
    return {"published": published(recipe.parent / "out"), "tables": tables(result), "task_runs": task_runs()}


def at(base_url: str) -> list[str]:
    """Return the overrides of a recipe whose models are served at another address."""
    return [f"models.{name}.base_url={base_url}" for name in SERVER["models"]]
