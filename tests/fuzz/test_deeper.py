"""The same tests with many more examples, for make test-slow."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted(file.name for file in Path(__file__).parent.glob("test_*.py") if file != Path(__file__))


@pytest.mark.slow
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("name", FILES)
def test_everything_again_with_many_more_examples(name: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--hypothesis-profile", "deep"]
    done = subprocess.run(
        [*command, f"tests/fuzz/{name}"], cwd=ROOT, capture_output=True, text=True, timeout=3_500, check=False
    )
    assert done.returncode == 0, done.stdout[-5_000:]
