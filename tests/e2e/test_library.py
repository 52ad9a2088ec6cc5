"""kasasagi used as a library: what a Python process that called run_recipe prints when it ends."""

import subprocess
import sys

from tests.e2e.conftest import NewJob

PROGRAM = """
from kasasagi.flows.runner import run_recipe
print(run_recipe("recipe.yaml", workspace="ws").state.status)
"""


def test_a_process_that_ran_a_recipe_prints_nothing_at_its_end(new_job: NewJob) -> None:
    job = new_job().prepare(6)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=job.folder,
        env=job.command.environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
