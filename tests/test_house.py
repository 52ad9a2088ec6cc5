"""The house in order: imports point downwards, commands stay light, and the tools find nothing."""

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from functools import cache
from importlib.metadata import distribution, distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from kasasagi.blocks.hints import VERBS

ROOT = Path(__file__).parents[1]
FLOORS = {"blocks": ("blocks",), "tasks": ("tasks", "blocks"), "flows": ("flows", "tasks", "blocks")}
PYTHON = ("blocks", "tasks", "flows", "src", "tests", "hina", "benchmarks")
HEAVY = ("prefect", "great_expectations")


def modules() -> list[Path]:
    return sorted(file for floor in FLOORS for file in (ROOT / floor).rglob("*.py"))


@cache
def import_statements(file: Path) -> list[ast.Import | ast.ImportFrom]:
    tree = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    return [node for node in tree if isinstance(node, ast.Import | ast.ImportFrom)]


def imported(file: Path) -> Iterator[str]:
    for node in import_statements(file):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        else:
            assert node.level == 0, f"{file} imports by a relative name"
            yield node.module or ""


def of_the_house(name: str) -> str | None:
    """The folder of this repository that a module is imported from."""
    first, _, rest = name.partition(".")
    if first == "kasasagi":
        return rest.partition(".")[0] or first
    return first if first in {"flows", "tasks", "blocks", "tests", "hina", "benchmarks"} else None


def test_each_floor_imports_only_downwards() -> None:
    allowed = {floor: (None, "kasasagi", *floors) for floor, floors in FLOORS.items()}
    upwards = [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in modules()
        for name in imported(file)
        if of_the_house(name) not in allowed[file.relative_to(ROOT).parts[0]]
    ]
    assert len(modules()) > 50
    assert not upwards


def test_modules_of_the_package_are_imported_by_its_name_alone() -> None:
    files = [file for folder in PYTHON for file in (ROOT / folder).rglob("*.py") if "src/kasasagi/" not in str(file)]
    former = ("flows", "tasks", "blocks", "hina")
    found = {str(file.relative_to(ROOT)): [n for n in imported(file) if n.split(".")[0] in former] for file in files}
    assert {name: modules for name, modules in found.items() if modules} == {}


def dotted(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(("kasasagi", *(parts[:-1] if parts[-1] == "__init__" else parts)))


def import_graph() -> dict[str, set[str]]:
    """Return which module imports which, those for type checkers and those inside functions included."""
    files = {dotted(file): file for file in modules()}
    graph: dict[str, set[str]] = {name: set() for name in files}
    for name, file in files.items():
        for node in import_statements(file):
            if isinstance(node, ast.Import):
                graph[name].update(alias.name for alias in node.names)
            else:
                submodules = {f"{node.module}.{alias.name}" for alias in node.names}
                graph[name] |= submodules & set(files)
                if not submodules <= set(files):
                    graph[name].add(node.module or "")
    return {name: imports & set(files) for name, imports in graph.items()}


def circles(graph: dict[str, set[str]]) -> set[tuple[str, ...]]:
    """Return the groups of nodes of a graph that reach one another."""
    reached = {node: reach(graph, node) for node in graph}
    groups = {tuple(sorted(other for other in reached[node] if node in reached[other])) for node in graph}
    return groups - {()}


def reach(graph: dict[str, set[str]], start: str) -> set[str]:
    """Return the nodes that a path of one step or more leads to."""
    found: set[str] = set()
    ahead = list(graph[start])
    while ahead:
        node = ahead.pop()
        if node not in found:
            found.add(node)
            ahead.extend(graph[node])
    return found


def test_no_modules_import_one_another_in_a_circle() -> None:
    assert circles(import_graph()) == set()


def test_a_circle_is_found() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": {"e"}, "e": {"e"}, "f": {"a"}}
    assert circles(graph) == {("a", "b", "c"), ("e",)}


def test_only_flows_the_modules_of_tasks_saved_blocks_and_slots_know_prefect() -> None:
    knowing = {
        str(file.relative_to(ROOT))
        for file in modules()
        for name in imported(file)
        if name.split(".")[0] == "prefect" and not file.is_relative_to(ROOT / "flows")
    }
    tasks = {"tasks/stage_task.py", "tasks/gate/task.py", "tasks/publish/task.py", "tasks/calls.py"}
    assert knowing == {*tasks, "blocks/saved.py", "blocks/dispatch/prefect_slots.py"}


def test_no_module_has_grown_into_two() -> None:
    long = {file.name: count for file in modules() if (count := len(file.read_text().splitlines())) > 410}
    assert not long


def test_no_folder_holds_more_than_fifteen_modules() -> None:
    files = [*modules(), *(ROOT / "benchmarks").rglob("*.py")]
    counts = Counter(str(file.parent.relative_to(ROOT)) for file in files)
    assert {folder: count for folder, count in counts.items() if count > 15} == {}


def repeated(texts: dict[str, str], most: int) -> list[tuple[str, str, str]]:
    """Return pairs of files that share more than so many lines in a row, blank ones aside, with the first line."""
    first: dict[tuple[str, ...], tuple[str, int]] = {}
    found = []
    for name, text in texts.items():
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        for start in range(len(lines) - most):
            place = first.setdefault(tuple(lines[start : start + most + 1]), (name, start))
            if place != (name, start):
                found.append((place[0], name, lines[start]))
    return found


def test_no_two_places_share_more_than_twelve_lines() -> None:
    files = [file for folder in PYTHON for file in (ROOT / folder).rglob("*.py") if "src/kasasagi/" not in str(file)]
    texts = {str(file.relative_to(ROOT)): file.read_text(encoding="utf-8") for file in files}
    assert repeated(texts, 12) == []
    assert repeated({"a": "one\ntwo\n\nthree", "b": "zero\n two\nthree"}, 1) == [("a", "b", "two")]


WATCHED = """
import sys
import tomllib
sys.argv = ["kasasagi", *sys.argv[1:]]
import os
import re
leave = os._exit
def report(code):
    watched = ("prefect", "great_expectations", "duckdb", "pandas", "datasets", "openai")
    heavy = [name for name in watched if name in sys.modules]
    sys.stdout.flush()
    print("LOADED", code, *heavy, flush=True)
    leave(code)
os._exit = report
from kasasagi.flows.cli.app import main
main()
"""


def loaded(folder: Path, *arguments: str) -> tuple[int, set[str]]:
    """The exit code of a command, and which of the heavy libraries it loaded."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "KASASAGI_WORKSPACE": str(folder)}
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


NOT_BEFORE_A_RUN = ("great_expectations", "openai", "aiohttp", "pandas", "scipy", "sklearn", "matplotlib", "datasets")
IMPORTS = "import sys, json, kasasagi.flows.instructions; print(json.dumps([*sys.modules]))"


def test_flows_import_nothing_that_a_run_may_not_need() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=True, timeout=120)
    assert not set(json.loads(done.stdout.splitlines()[-1])) & set(NOT_BEFORE_A_RUN)


def test_arrow_takes_the_memory_of_a_run_from_the_system() -> None:
    code = "import kasasagi.flows.runner, pyarrow; print(pyarrow.default_memory_pool().backend_name)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.split() == ["system"]


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


NO_MESSAGES = (
    "blocks/hints.py",
    "flows/cli/app.py",
    "flows/recipe/documents/template.py",
    "flows/recipe/documents/reference.py",
)
"""What makes the commands itself, and texts of files that name commands in general."""
TYPED = re.compile(rf"kasasagi ({'|'.join(VERBS)})\b|pip install")


def handwritten_commands(tree: ast.AST) -> list[int]:
    """The lines of texts with a command in them that nobody can paste; docstrings and helps are none."""
    exempt = set[int]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):  # a docstring
            exempt.add(id(node.value))
        elif isinstance(node, ast.keyword) and node.arg in ("help", "description"):
            exempt.update(id(part) for part in ast.walk(node.value))
    texts = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))
    return [node.lineno for node in texts if id(node) not in exempt and TYPED.search(str(node.value))]


def test_messages_name_commands_through_hints() -> None:
    files = {str(file.relative_to(ROOT)): file for floor in FLOORS for file in (ROOT / floor).rglob("*.py")}
    assert set(NO_MESSAGES) < set(files)
    checked = {name: file for name, file in files.items() if name not in NO_MESSAGES}
    found = {name: handwritten_commands(ast.parse(file.read_text("utf-8"))) for name, file in checked.items()}
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_a_command_written_by_hand_is_found() -> None:
    assert handwritten_commands(ast.parse('"""kasasagi run."""\nraise ValueError(f"see kasasagi show {run}")')) == [2]
    assert handwritten_commands(ast.parse('Option(help="see kasasagi show")\nprint("pip install x")')) == [2]


def pins(name: str) -> dict[str, str]:
    """The versions that a file of constraints pins, by the normal form of their packages' names."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return {canonicalize_name(line.partition("==")[0]): line.partition("==")[2] for line in lines if "==" in line}


@pytest.mark.parametrize("name", ["constraints.txt", "constraints-vllm.txt"])
def test_all_that_the_package_needs_is_pinned_to_a_version_that_it_takes(name: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pinned = pins(name)
    needed = [Requirement(line) for line in project["dependencies"]]
    assert needed
    assert [
        str(one) for one in needed if not one.specifier.contains(pinned.get(canonicalize_name(one.name), "0"))
    ] == []


def test_what_a_pinned_package_needs_is_pinned_too() -> None:
    """vLLM's constraints are installed without looking at what their packages ask for."""
    pinned = pins("constraints-vllm.txt").keys()
    asked = {
        f"{name} needs {one.name}"
        for name in pinned & {canonicalize_name(one.name) for one in distributions()}
        for one in map(Requirement, distribution(name).requires or ())
        if (one.marker is None or one.marker.evaluate({"extra": ""})) and canonicalize_name(one.name) not in pinned
    }
    assert asked == set()
