"""A job whose calls a real cluster of two workers makes: the same dataset, also where a worker or the run dies."""

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest

from tests.blocks.cluster.conftest import bucket, s3_endpoint, s3_environment  # noqa: F401 - a fixture
from tests.e2e.clusters import LocalCluster, dask_cluster, ray_cluster
from tests.e2e.command import until
from tests.e2e.conftest import NewJob
from tests.e2e.job import LOSABLE, Job, files_below, sent

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]
CLUSTERS: dict[str, Callable[..., AbstractContextManager[LocalCluster]]] = {
    "dask": dask_cluster,
    "ray": ray_cluster,
}
PROMPTS = 40
SLOW = {"first_token_s": 0.2}


@pytest.fixture(scope="module", params=sorted(CLUSTERS))
def cluster(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    s3_endpoint: str,  # noqa: F811 - a fixture
) -> Iterator[LocalCluster]:
    """A cluster for all tests of this file, the last of which kills a worker; Ray's second node joins when asked to."""
    folder = tmp_path_factory.mktemp(request.param)
    environment = {"PREFECT_HOME": str(folder / "worker-home"), **s3_environment(s3_endpoint)}
    with CLUSTERS[request.param](folder, environment) as running:
        yield running


on_dask = pytest.mark.parametrize("cluster", ["dask"], indirect=True)
on_ray = pytest.mark.parametrize("cluster", ["ray"], indirect=True)


def on(cluster: LocalCluster, **settings: Any) -> dict[str, Any]:
    """What a recipe says of a cluster: small batches, so that there are many."""
    how = {"workers": cluster.seats, "batch_calls": 10, "flush_s": 0.0, **settings}
    return {"runtime": {"runner": cluster.runner, "address": cluster.address, **how}}


def accounts_close(job: Job) -> None:
    stages = job.sql("select * from stages")
    assert stages
    assert all(row["rows_in"] == row["rows_out"] + row["quarantined"] for row in stages)


def with_an_engine_on_a_gpu(job: Job, cluster: LocalCluster) -> Job:
    """The job's recipe with an engine that asks Ray for a GPU as its only responder."""
    recipe = {**job.recipe, **on(cluster, resources={"hina": {"num_gpus": 1, "num_cpus": 0}})}
    recipe["models"] = {"hina": {"kind": "bundled"}, "critic": recipe["models"]["critic"]}
    recipe["respond"] = {"models": ["hina"], "samples": 2, "sampling": {"max_tokens": 32}}
    recipe["gates"] = {"on_fail": "warn"}
    return job.write_plain(recipe)


def batches_of(job: Job) -> list[dict[str, Any]]:
    return [json.loads(line) for file in job.workspace.glob("runs/*/call_batches.jsonl") for line in file.open()]


@on_ray
def test_an_engine_waits_until_ray_has_a_gpu(cluster: LocalCluster, new_job: NewJob) -> None:
    job = new_job().prepare(PROMPTS)
    assert not cluster.is_whole, "this test is the first on Ray, as long as no node has a GPU"
    running = with_an_engine_on_a_gpu(job, cluster).start()
    storage = job.workspace / "cluster"
    until(lambda: running.has_ended or any(files_below(storage)), "a batch lies ready for an engine")
    assert not running.has_ended, running.err
    assert not batches_of(job)
    assert job.kept() == 0
    cluster.join()
    running.wait().succeeded()
    assert {batch["gpus"] for batch in batches_of(job) if batch["resources"]} == {"0"}


@on_ray
def test_an_engine_runs_where_ray_has_its_gpu(cluster: LocalCluster, new_job: NewJob) -> None:
    cluster.join()
    job = new_job().prepare(PROMPTS)
    with_an_engine_on_a_gpu(job, cluster).run().succeeded()
    batches = batches_of(job)
    on_gpu = [batch for batch in batches if batch["resources"]]
    assert on_gpu
    assert {batch["gpus"] for batch in on_gpu} == {"0"}
    assert len({batch["worker"] for batch in on_gpu}) == 1  # the process that has loaded the engine is kept
    assert "0" not in {batch.get("gpus") for batch in batches if not batch["resources"]}
    accounts_close(job)


def test_a_cluster_makes_the_dataset_that_one_process_makes(
    cluster: LocalCluster, new_job: NewJob, finished: Job
) -> None:
    cluster.join()
    job = new_job().prepare(PROMPTS, **on(cluster))
    job.command("check", "recipe.yaml").succeeded()
    job.run().succeeded()
    assert job.published() == finished.published()
    assert job.server.stats()["samples_begun_again"] == 0
    assert not [path for path in (job.workspace / "cluster").rglob("*") if path.is_file()]
    accounts_close(job)
    before = sent(job.server)
    job.run().succeeded()
    assert sent(job.server) == before


@on_dask
def test_batches_and_segments_may_lie_on_s3(
    cluster: LocalCluster,
    new_job: NewJob,
    finished: Job,
    s3_endpoint: str,  # noqa: F811 - a fixture
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address = bucket(s3_endpoint, monkeypatch.setenv)
    job = new_job()
    job.command.environment |= s3_environment(s3_endpoint)
    job.prepare(PROMPTS, **on(cluster, storage=f"{address}/shared"))
    job.command("check", "recipe.yaml").succeeded()
    job.run().succeeded()
    assert job.published() == finished.published()
    assert job.server.stats()["samples_begun_again"] == 0
    assert not (job.workspace / "cluster").exists()


def test_the_death_of_the_run_costs_what_was_in_flight(cluster: LocalCluster, new_job: NewJob, finished: Job) -> None:
    job = new_job(**SLOW).prepare(PROMPTS, **on(cluster))
    running = job.start()
    until(lambda: running.has_ended or sent(job.server) >= PROMPTS, "half of the answers are asked for")
    running.signal(signal.SIGKILL)
    running.wait()
    job.run().succeeded()
    assert job.published() == finished.published()
    assert job.server.stats()["samples_begun_again"] <= LOSABLE
    accounts_close(job)


def test_the_death_of_a_worker_costs_what_was_in_flight(cluster: LocalCluster, new_job: NewJob, finished: Job) -> None:
    job = new_job(**SLOW).prepare(PROMPTS, **on(cluster))
    running = job.start()
    until(lambda: running.has_ended or sent(job.server) >= PROMPTS, "half of the answers are asked for")
    assert not running.has_ended, running.err
    cluster.kill_a_worker()
    running.wait().succeeded()
    assert job.published() == finished.published()
    assert job.server.stats()["samples_begun_again"] <= LOSABLE
    accounts_close(job)
