"""The limit on open files is raised to what the system allows, and never lowered."""

import subprocess
import sys

import pytest

CODE = """
import resource
from kasasagi.blocks.file_limit import raise_file_limit
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
raise_file_limit(most={most})
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(
    ("soft", "hard", "most", "after"),
    [
        (256, 900, 65_536, "900 900"),
        (256, 900, 500, "500 900"),
        (700, 900, 500, "700 900"),
        (900, 900, 9_000, "900 900"),
    ],
)
def test_the_soft_limit_goes_up_to_the_hard_one(soft: int, hard: int, most: int, after: str) -> None:
    code = CODE.format(soft=soft, hard=hard, most=most)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == after
