"""Where a run publishes: a place that will not do costs nothing, and two workspaces publish to one path at once."""

from tests.e2e.conftest import NewJob
from tests.e2e.job import sent


def test_a_path_that_will_not_do_costs_nothing_and_two_workspaces_share_one_that_does(new_job: NewJob) -> None:
    job = new_job().prepare(12, publish={"path": "prompts.jsonl/out"})
    assert "publish.path: prompts.jsonl/out cannot be written" in " ".join(job.run().failed(2).split()).replace(
        f"{job.folder}/", ""
    )
    assert "is the workspace" in job.run("--set", "publish.path=ws").failed(2)
    assert sent(job.server) == 0
    job.write_recipe()
    runs = [job.command.start("run", "recipe.yaml", "-w", job.folder / name) for name in ("one", "two")]
    for run in runs:
        run.wait().succeeded()
    assert job.published()
    assert not list(job.folder.glob(".out*"))
