"""The list of transient errors is complete: whatever fails temporarily has one of them, and nothing else has."""

import ast
from collections.abc import Iterator
from pathlib import Path

from kasasagi.blocks.models.llm import PASSING

ROOT = Path(__file__).parents[2]


def failures() -> Iterator[tuple[str, bool]]:
    """The error of every completion that our code makes for a failed call, and whether it says that it may pass."""
    for file in sorted((ROOT / "blocks").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Completion":
                given = {one.arg: one.value for one in node.keywords}
                error = given.get("error")
                if isinstance(error, ast.Constant) and isinstance(error.value, str):
                    yield error.value, "transient" in given
                else:
                    assert "transient" not in given or "error" not in given, f"{file.name} names an error indirectly"


def test_an_error_may_pass_exactly_if_it_is_listed() -> None:
    found = set(failures())
    assert {error for error, passes in found if passes} == PASSING
    assert not {error for error, passes in found if not passes} & PASSING
