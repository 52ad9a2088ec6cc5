"""What a recipe may say of a cluster, and how check reports one that cannot be used."""

import pickle
import re
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from prefect.context import FlowRunContext, serialize_context
from prefect.results import ResultStore
from prefect.task_runners import ThreadPoolTaskRunner

import kasasagi.flows.run.cluster
from kasasagi.blocks.cluster.call_batches import CallBatch, WorkerReport
from kasasagi.blocks.cluster.config import RuntimeConfig
from kasasagi.blocks.destinations.remote_folder import Store
from kasasagi.blocks.hints import install
from kasasagi.blocks.workspace.runs import Workspace
from kasasagi.flows.check.cluster import check_cluster
from kasasagi.flows.instructions import instructions
from kasasagi.flows.preference import preference
from kasasagi.flows.recipe.errors import RecipeError
from kasasagi.flows.recipe.loading import LoadedRecipe, check_recipe
from kasasagi.flows.run.cluster import dispatching, storage_of, warn_if_idle, workspace_name
from tests.blocks.helpers import until

MODELS = {"small": {"kind": "bundled"}, "far": {"kind": "openai", "model": "m", "base_url": "http://127.0.0.1:1/v1"}}


def loaded(base: Path, **runtime: Any) -> LoadedRecipe:
    data = {
        "name": "r",
        "source": {"kind": "dataset", "path": "p.jsonl"},
        "models": MODELS,
        "respond": {"models": ["small"], "samples": 2},
        "judge": {"model": "small"},
        "runtime": {"runner": "dask", "address": "tcp://127.0.0.1:1", **runtime},
    }
    return LoadedRecipe(recipe=check_recipe(data, base), base=base)


@pytest.fixture
def port() -> Iterator[int]:
    """A port at which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kasasagi.flows.run.cluster, "find_spec", lambda name: object())


@pytest.fixture
def not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kasasagi.flows.run.cluster, "find_spec", lambda name: None)


@pytest.mark.parametrize(
    ("runtime", "words"),
    [
        ({"runner": "spark"}, "'spark' is not allowed"),
        ({"resources": {"small": {"num_gpus": 1}}}, "set runner: ray"),
        ({"runner": "ray", "resources": {"smal": {"num_gpus": 1}}}, "did you mean 'small'"),
        ({"worker": 3}, "did you mean 'workers'"),
    ],
)
def test_a_runtime_that_cannot_be_meant_is_an_error(tmp_path: Path, runtime: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        loaded(tmp_path, **runtime)


@pytest.mark.parametrize("runner", ["dask", "ray"])
@pytest.mark.usefixtures("not_installed")
def test_a_runner_that_is_not_installed_names_its_extra(tmp_path: Path, runner: str) -> None:
    recipe = loaded(tmp_path, runner=runner)
    run = Workspace(tmp_path / "ws")
    run.prepare()
    problems = check_cluster(recipe, run, lambda text: None)
    assert f"runtime.runner: {runner} needs a package that is not installed: {install(runner)}" in problems


@pytest.mark.usefixtures("not_installed")
def test_a_run_without_its_runner_ends_in_one_sentence(tmp_path: Path) -> None:
    from kasasagi.blocks.cluster.call_batches import ClusterError
    from kasasagi.blocks.workspace.runs import Run

    workspace = Workspace(tmp_path / "ws")
    workspace.prepare()
    with (
        pytest.raises(ClusterError, match=re.escape(install("dask"))),
        dispatching(loaded(tmp_path), Run(workspace, "r"), {}, lambda text: None),
    ):
        pass


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("tcp://127.0.0.1", "has no host and port"),
        ("tcp://127.0.0.1:port", "is not an address"),
        ("127.0.0.1:1", "no ray cluster answers there"),
    ],
)
def test_check_says_why_a_cluster_cannot_be_used(tmp_path: Path, address: str, words: str) -> None:
    problems = check_cluster(loaded(tmp_path, runner="ray", address=address), Workspace(tmp_path), lambda text: None)
    assert len(problems) == 1
    assert words in problems[0]


@pytest.mark.usefixtures("installed")
def test_check_says_that_a_cluster_answers_and_that_its_storage_can_be_written(tmp_path: Path, port: int) -> None:
    logged: list[str] = []
    recipe = loaded(tmp_path, runner="ray", address=f"127.0.0.1:{port}", storage="shared")
    assert check_cluster(recipe, Workspace(tmp_path / "ws"), logged.append) == []
    assert any(f"127.0.0.1:{port} answers" in line for line in logged)
    assert any(f"{tmp_path / 'shared'} can be written" in line for line in logged)
    assert any("far: on the cluster http://127.0.0.1:1/v1 means each worker's own machine" in line for line in logged)
    assert not list((tmp_path / "shared").iterdir())


@pytest.mark.usefixtures("installed")
def test_check_says_that_a_storage_cannot_be_written(tmp_path: Path, port: int) -> None:
    (tmp_path / "file").write_text("in the way")
    recipe = loaded(tmp_path, runner="ray", address=f"127.0.0.1:{port}", storage="file/shared")
    problems = check_cluster(recipe, Workspace(tmp_path / "ws"), lambda text: None)
    assert len(problems) == 1
    assert problems[0].startswith("runtime.storage: ")


def test_a_storage_starts_from_the_recipe_and_else_lies_in_the_workspace(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "ws")

    def where(**runtime: Any) -> str:
        recipe = loaded(tmp_path, **runtime)
        assert recipe.recipe.runtime is not None
        return storage_of(recipe.recipe.runtime, recipe.base, workspace)

    assert where() == str(tmp_path / "ws" / "cluster")
    assert where(storage="shared") == str(tmp_path / "shared")
    assert where(storage="s3://nest/shared") == "s3://nest/shared"


def test_a_workspace_keeps_its_name_and_two_have_two(tmp_path: Path) -> None:
    names = []
    for name in ("one", "two", "one"):
        workspace = Workspace(tmp_path / name)
        workspace.prepare()
        names.append(workspace_name(workspace))
    assert names[0] == names[2] != names[1]


class PicklingRunner(ThreadPoolTaskRunner):
    """Sends what a cluster's runner would send: the context and the task as bytes."""

    def submit(self, task: Any, parameters: Any, *others: Any, **more: Any) -> Any:
        sent = cloudpickle.dumps((serialize_context(), task, parameters))
        assert len(sent) < 100_000
        context, _, received = pickle.loads(sent)
        done: Future[Any] = Future()
        done.set_result({"worker": str(context["flow_run_context"]["flow"].name), "answered": len(received)})
        return done


@pytest.mark.parametrize("flow", [preference, instructions])
def test_what_goes_to_a_worker_can_travel_whatever_the_flow_holds(tmp_path: Path, flow: Any) -> None:
    recipe = loaded(tmp_path).recipe
    assert recipe.runtime is not None
    batch = CallBatch(storage="s", root="r", name="n", at_once=1, flush_s=0)
    runner = PicklingRunner(max_workers=1)
    with FlowRunContext.model_construct(flow=flow, task_runner=runner, result_store=ResultStore(), parameters={}):
        send = kasasagi.flows.run.cluster._sender(runner, recipe.runtime)
    assert send(batch, {}) == WorkerReport(worker="stand-in", answered=1)


@pytest.mark.parametrize("claimed", [False, True], ids=["nobody-begins", "one-has-begun"])
def test_questions_for_which_no_worker_is_there_are_told_once(tmp_path: Path, claimed: bool) -> None:
    store, logged, answers = Store(str(tmp_path)), list[str](), threading.Event()
    known = threading.Semaphore(0)

    def answered(batch: CallBatch, options: Any) -> WorkerReport:
        assert answers.wait(60)
        return WorkerReport(worker="one")

    def claims(name: str) -> bytes | None:
        known.release()
        return store_read(name)

    store_read, store.read = store.read, claims  # type: ignore[method-assign]
    batches = [CallBatch(storage=str(tmp_path), root="run", name=str(n), at_once=2, flush_s=0) for n in range(2)]
    for batch in batches if claimed else []:
        store.write_whole(f"{batch.folder}/claim", b"a worker")
    send = warn_if_idle(answered, store, logged.append, after_s=0.01)
    with ThreadPoolExecutor(2) as pool:
        sent = [pool.submit(send, batch, {"num_gpus": 1}) for batch in batches]
        assert known.acquire(timeout=60)
        if not claimed:
            until(lambda: bool(logged))
        answers.set()
        assert [one.result().worker for one in sent] == ["one", "one"]
    words = "no worker of the cluster has started a call batch for 0.01 s: the calls wait for one with num_gpus 1"
    assert logged == ([] if claimed else [words])


def test_the_former_name_of_a_key_is_read() -> None:
    config = RuntimeConfig.model_validate({"runner": "dask", "address": "tcp://host:8786", "parcel_calls": 7})
    assert config.batch_calls == 7
