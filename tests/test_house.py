"""The house in order: imports point downwards, commands stay light, and the tools find nothing."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = {"blocks": ("blocks",), "tasks": ("tasks", "blocks"), "flows": ("flows", "tasks", "blocks")}
PYTHON = ("blocks", "tasks", "flows", "tests", "hina", "benchmarks")
HEAVY = ("prefect", "great_expectations")


def modules() -> list[Path]:
    return sorted(file for floor in FLOORS for file in (ROOT / floor).rglob("*.py"))


def imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports by a relative name"
            yield node.module or ""


def test_each_floor_imports_only_downwards() -> None:
    others = {"flows", "tasks", "blocks", "tests", "hina", "benchmarks"}
    upwards = [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in modules()
        for name in imported(file)
        if name.split(".")[0] in others and name.split(".")[0] not in FLOORS[file.relative_to(ROOT).parts[0]]
    ]
    assert len(modules()) > 50
    assert not upwards


def test_only_flows_the_tasks_own_module_saved_blocks_and_slots_know_prefect() -> None:
    knowing = {
        str(file.relative_to(ROOT))
        for file in modules()
        for name in imported(file)
        if name.split(".")[0] == "prefect" and not file.is_relative_to(ROOT / "flows")
    }
    assert knowing == {"tasks/prefect_tasks.py", "blocks/saved.py", "blocks/prefect_slots.py"}


def test_no_module_has_grown_into_two() -> None:
    long = {file.name: count for file in modules() if (count := len(file.read_text().splitlines())) > 410}
    assert not long


WATCHED = """
import sys
sys.argv = ["kasasagi", *sys.argv[1:]]
import os
leave = os._exit
def report(code):
    watched = ("prefect", "great_expectations", "duckdb", "pandas", "datasets", "openai")
    heavy = [name for name in watched if name in sys.modules]
    sys.stdout.flush()
    print("LOADED", code, *heavy, flush=True)
    leave(code)
os._exit = report
from flows.cli import main
main()
"""


def loaded(folder: Path, *arguments: str) -> tuple[int, set[str]]:
    """The exit code of a command, and which of the heavy libraries it loaded."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "KASASAGI_WORKSPACE": str(folder)}
    command = [sys.executable, "-c", WATCHED, *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=folder, timeout=120, check=False
    )
    last = done.stdout.splitlines()[-1].split()
    assert last[0] == "LOADED", done.stdout + done.stderr
    return int(last[1]), set(last[2:])


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["show", "--help"]])
def test_help_loads_nothing_heavy(tmp_path: Path, arguments: list[str]) -> None:
    assert loaded(tmp_path, *arguments) == (0, set())


@pytest.mark.parametrize(
    "arguments", [["runs"], ["show"], ["judge"], ["sql", "", "SELECT count(*) FROM pairs"], ["quarantine"], ["schema"]]
)
def test_looking_at_a_run_loads_neither_prefect_nor_great_expectations(tmp_path: Path, arguments: list[str]) -> None:
    from tests.run_example import build_example_run

    run = build_example_run(tmp_path)
    code, heavy = loaded(tmp_path, *[run.id if argument == "" else argument for argument in arguments])
    assert code == 0
    assert not heavy & set(HEAVY)


def tool(*command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, timeout=280, check=False
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_ruff_finds_nothing() -> None:
    assert tool("ruff", "check", ".") == ""


def test_ruff_would_format_nothing() -> None:
    assert tool("ruff", "format", "--check", *PYTHON) == ""


def test_mypy_finds_nothing() -> None:
    assert tool("mypy") == ""
