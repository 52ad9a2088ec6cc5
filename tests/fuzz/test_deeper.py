"""The same tests with many more examples, for make test-slow."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_everything_again_with_many_more_examples() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--hypothesis-profile", "deep"]
    done = subprocess.run(
        [*command, "tests/fuzz"], cwd=ROOT, capture_output=True, text=True, timeout=3_500, check=False
    )
    assert done.returncode == 0, done.stdout[-5_000:]
