"""A run's dispatcher: one that sends the questions itself, or one that has them answered on a Ray or Dask cluster."""

import contextvars
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson
from prefect import flow
from prefect.context import FlowRunContext
from prefect.futures import PrefectFuture
from prefect.task_runners import TaskRunner

from kasasagi.blocks.cluster.call_batches import CLAIM, CallBatch, ClusterError, WorkerReport, local_storage
from kasasagi.blocks.cluster.config import RuntimeConfig
from kasasagi.blocks.cluster.dispatcher import ClusterDispatcher
from kasasagi.blocks.cluster.transport import Cluster, ClusterTransport, Send, recover_results
from kasasagi.blocks.destinations.errors import DestinationError, one_sentence
from kasasagi.blocks.destinations.remote_folder import Store, scheme_of
from kasasagi.blocks.dispatch.dispatcher import Dispatcher
from kasasagi.blocks.dispatch.limits.connections import with_enough_files
from kasasagi.blocks.hints import install
from kasasagi.blocks.models.kinds import ModelConfig, OpenAIModel, VLLMModel
from kasasagi.blocks.models.llm import Engine
from kasasagi.blocks.workspace.runs import Run, Workspace
from kasasagi.flows.recipe.loading import LoadedRecipe
from kasasagi.tasks.calls import calls_task

PACKAGES = {"dask": "prefect_dask", "ray": "prefect_ray"}
CONNECT_S = 20
WAITS_S = 30.0
BATCHES_FILE = "call_batches.jsonl"
NAME_FILE = "cluster-name"


@flow(name="stand-in")
def stand_in() -> None:
    """What workers know of the flow that asks them: nothing, but Prefect wants to see one."""


@contextmanager
def dispatching(
    loaded: LoadedRecipe, run: Run, engines: Mapping[str, Engine], log: Callable[[str], None]
) -> Iterator[Dispatcher]:
    """The dispatcher of a run; on leaving, the cluster is let go. Must be called in a flow. Raises ClusterError."""
    recipe, folder = loaded.recipe, run.workspace.ledger_folder
    if recipe.runtime is None:
        yield Dispatcher(with_enough_files(recipe.models, log), engines, folder, recipe.budget)
        return
    storage = storage_of(recipe.runtime, loaded.base, run.workspace)
    try:
        with _runner(recipe.runtime) as runner:
            transport = _transport(loaded, run, storage, runner, log)
            try:
                yield ClusterDispatcher(
                    recipe.models, engines, (folder, recipe.budget), transport, recipe.runtime.resources
                )
            finally:
                transport.finish()
    except DestinationError as error:
        raise ClusterError(f"runtime.storage: {error}") from error


def _transport(
    loaded: LoadedRecipe, run: Run, storage: str, runner: TaskRunner[Any], log: Callable[[str], None]
) -> ClusterTransport:
    runtime = loaded.recipe.runtime
    assert runtime is not None
    name, folder = workspace_name(run.workspace), run.workspace.ledger_folder
    living = [state.run for state in run.workspace.runs() if state.status == "running"]
    if found := recover_results(Store(storage), folder, name, living):
        log(f"{found:,} answers that workers had stored for an earlier run were copied to the ledger")
    at_once = _fewest(loaded.recipe.models, runtime.workers or _seats(runtime, runner))
    send = _log_batches(warn_if_idle(_sender(runner, runtime), Store(storage), log), run.folder / BATCHES_FILE)
    cluster = Cluster(runtime.address, storage, send, at_once, runtime.batch_calls, runtime.flush_s)
    log(f"{at_once} call batches of at most {runtime.batch_calls} calls run at once at {runtime.address}")
    return ClusterTransport(cluster, f"{name}/{run.id}", folder, _with_weight_folders(loaded))


def _with_weight_folders(loaded: LoadedRecipe) -> dict[str, ModelConfig]:
    """Return the models with the folders of their weights as workers elsewhere must name them."""
    return {
        label: model.with_resolved_folders(loaded.base) if isinstance(model, VLLMModel) else model
        for label, model in loaded.recipe.models.items()
    }


def storage_of(runtime: RuntimeConfig, base: Path, workspace: Workspace) -> str:
    """Return the address of the shared storage: as written, a path from the recipe's folder on, else in the
    workspace.
    """
    if runtime.storage is None:
        return local_storage(workspace.folder)
    return runtime.storage if scheme_of(runtime.storage) else str((base / runtime.storage).resolve())


def workspace_name(workspace: Workspace) -> str:
    """Return the name of a workspace on shared storage, where others may have theirs; it is kept in the workspace."""
    file = workspace.folder / NAME_FILE
    if not file.exists():
        file.write_text(secrets.token_hex(8), encoding="utf-8")
    return file.read_text(encoding="utf-8")


def _fewest(models: Mapping[str, ModelConfig], workers: int) -> int:
    """Call batches in work at once, no more than any endpoint takes calls."""
    caps = [
        cap
        for model in models.values()
        if isinstance(model, OpenAIModel)
        for cap in (model.most_concurrency(model.addresses[0]), model.requests_per_minute)
        if cap is not None
    ]
    return max(1, min([workers, *caps]))


def _sender(runner: TaskRunner[Any], runtime: RuntimeConfig) -> Send:
    """Return what has one batch answered as a task run of the flow that calls this; it may be called from
    any thread.
    """
    context = contextvars.copy_context()

    def submit(batch: CallBatch, options: Mapping[str, Any]) -> PrefectFuture[Any]:
        with _light_context(), _ray_options(runtime, options):
            future: PrefectFuture[Any] = runner.submit(calls_task, {"batch": batch.model_dump()})
            return future

    def send(batch: CallBatch, options: Mapping[str, Any]) -> WorkerReport:
        return WorkerReport.model_validate(context.copy().run(submit, batch, options).result())

    return send


def _light_context() -> AbstractContextManager[Any]:
    """Return the flow run's context with a stand-in for the flow, which a worker does not need and which may not
    travel.
    """
    context = FlowRunContext.get()
    return nullcontext() if context is None else context.model_copy(update={"flow": stand_in})


def _log_batches(send: Send, file: Path) -> Send:
    """Return the same, which also writes down what became of each batch, and which worker answered it with
    which GPUs.
    """
    lock = threading.Lock()

    def sent(batch: CallBatch, options: Mapping[str, Any]) -> WorkerReport:
        started = time.monotonic()
        report = send(batch, options)
        line = {"batch": batch.name, "seconds": round(time.monotonic() - started, 3), "resources": dict(options)}
        with lock, file.open("ab") as notes:
            notes.write(orjson.dumps({**line, **report.model_dump(exclude_none=True)}) + b"\n")
        return report

    return sent


def warn_if_idle(send: Send, store: Store, log: Callable[[str], None], after_s: float = WAITS_S) -> Send:
    """Return a sender that also warns once if no worker starts any of the batches with equal placement.

    A batch that waits behind others needs no warning: they hold the GPU that it wants.
    """
    lock, waiting, known = threading.Lock(), dict[str, set[str]](), set[str]()

    def warn_if_unclaimed(place: str) -> None:
        with lock, suppress(DestinationError):  # the next use of the storage reports what is wrong with it
            begun = place in known or any(store.read(f"{one}/{CLAIM}") is not None for one in waiting[place])
            known.add(place)
            if not begun:
                idle = f"no worker of the cluster has started a call batch for {after_s:g} s"
                log(f"{idle}: the calls wait for one with {place}")

    def sent(batch: CallBatch, options: Mapping[str, Any]) -> WorkerReport:
        place = ", ".join(f"{name} {value}" for name, value in options.items()) or "a free seat"
        with lock:
            waiting.setdefault(place, set()).add(batch.folder)
        timer = threading.Timer(after_s, warn_if_unclaimed, (place,))
        timer.daemon = True
        timer.start()
        try:
            return send(batch, options)
        finally:
            timer.cancel()
            with lock:
                waiting[place].discard(batch.folder)
                known.add(place)

    return sent


def _ray_options(runtime: RuntimeConfig, options: Mapping[str, Any]) -> AbstractContextManager[Any]:
    """Return where Ray is to run what is submitted; a process with a GPU is kept, for the engine that it has loaded."""
    if runtime.runner != "ray":
        return nullcontext()
    from prefect_ray.context import remote_options

    placed: AbstractContextManager[Any] = remote_options(**{"max_calls": 0, **options})
    return placed


@contextmanager
def _runner(runtime: RuntimeConfig) -> Iterator[TaskRunner[Any]]:
    """A task runner of Prefect's that is connected to the cluster. Raises ClusterError."""
    if (problem := missing_package(runtime)) is not None:
        raise ClusterError(problem)
    runner = _dask(runtime) if runtime.runner == "dask" else _ray(runtime)
    try:
        runner.__enter__()
        _seats(runtime, runner)
    except Exception as error:
        raise ClusterError(
            f"runtime.address: the {runtime.runner} cluster at {runtime.address} does not answer "
            f"({one_sentence(error)}): start it or correct the address"
        ) from error
    try:
        yield runner
    finally:
        runner.__exit__(None, None, None)


def _dask(runtime: RuntimeConfig) -> TaskRunner[Any]:
    from prefect_dask import DaskTaskRunner

    runner: TaskRunner[Any] = DaskTaskRunner(address=runtime.address, client_kwargs={"timeout": CONNECT_S})
    return runner


def _ray(runtime: RuntimeConfig) -> TaskRunner[Any]:
    from prefect_ray import RayTaskRunner

    options = {"log_to_driver": False, "logging_level": "ERROR"}
    runner: TaskRunner[Any] = RayTaskRunner(address=runtime.address, init_kwargs=options)
    return runner


def _seats(runtime: RuntimeConfig, runner: TaskRunner[Any]) -> int:
    """Tasks that the cluster works on at once: a Dask cluster's threads, a Ray cluster's CPUs."""
    if runtime.runner == "dask":
        return max(1, sum(runner.client.nthreads().values()))  # type: ignore[attr-defined]
    import ray

    return max(1, int(ray.cluster_resources().get("CPU", 1)))


def missing_package(runtime: RuntimeConfig) -> str | None:
    """Return one sentence if what a runner needs is not installed."""
    if find_spec(PACKAGES[runtime.runner]) is not None:
        return None
    runner = runtime.runner
    return f"runtime.runner: {runner} needs a package that is not installed: {install(runner)}"
