"""A custom flow composes our stages, and Prefect's page tells the truth about every run."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import cloudpickle
import orjson
import pytest
from prefect import flow, task
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    FlowRunFilter,
    FlowRunFilterId,
)
from prefect.client.schemas.objects import FlowRun, TaskRun

import kasasagi.flows.preference
from kasasagi import open_run
from kasasagi.blocks.workspace.runs import Run, Workspace
from kasasagi.flows.preference import make_pairs, make_prompts, preference
from kasasagi.tasks.gate.outcome import GateFailedError
from kasasagi.tasks.publish.task import publishing
from tests.fake_server import FakeServer
from tests.flows.test_own_stages import write_job
from tests.golden.job import ROWS_IN_A_CHUNK

UNTIL_S = 60.0


@pytest.fixture(scope="module")
def server(prefect_server: None) -> Iterator[FakeServer]:
    with (
        pytest.MonkeyPatch.context() as patch,
        FakeServer(models=("small", "large", "critic")) as models,
    ):
        patch.setattr("kasasagi.blocks.workspace.chunks.ROWS_IN_A_CHUNK", ROWS_IN_A_CHUNK // 4)
        yield models


@task
def announced(message: str) -> str:
    """A task of the user's own."""
    return f"done: {message}"


@flow
async def nightly(recipe: str, workspace: str) -> str:
    """A flow of the user's own."""
    async with open_run(recipe, workspace=workspace) as run:
        await make_pairs(run, await make_prompts(run))
        await run.publish()
    return announced(run.message)


@flow
async def outer(recipe: str, workspace: str) -> str:
    """A flow that calls ours."""
    return str(await preference(recipe, workspace=workspace))


def job(folder: Path, server: FakeServer, **gates: Any) -> tuple[str, str]:
    """A recipe of 20 prompts, and its workspace."""
    file = write_job(folder, server, publish={"path": str(folder / "out"), "formats": ["trl"]})
    text = file.read_text()
    file.write_text(
        text.replace("gates:\n  on_fail: warn\n", f"gates: {orjson.dumps(gates or {'on_fail': 'warn'}).decode()}\n")
    )
    return str(file), str(folder / "ws")


def latest(workspace: str) -> Run:
    return Workspace(Path(workspace)).run()


async def _seen(flow_run_id: UUID) -> tuple[FlowRun, list[TaskRun]]:
    """A flow run and its task runs, once the server knows the end of each."""
    async with get_client() as client:
        wanted = FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id]))
        loop, before = asyncio.get_running_loop(), -1
        end = loop.time() + UNTIL_S
        while loop.time() < end:
            runs = await client.read_task_runs(flow_run_filter=wanted)
            if len(runs) == before and all(run.state and run.state.is_final() for run in runs):
                break
            before = len(runs)
            await asyncio.sleep(0.3)
        return await client.read_flow_run(flow_run_id), runs


async def artifact_keys(flow_run_id: UUID) -> set[str | None]:
    """The keys of what a flow run left on Prefect's page."""
    async with get_client() as client:
        wanted = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[flow_run_id]))
        return {one.key for one in await client.read_artifacts(artifact_filter=wanted)}


def seen(workspace: str) -> tuple[FlowRun, dict[str, TaskRun]]:
    run = latest(workspace)
    flow_run, tasks = asyncio.run(_seen(UUID(str(run.state().flow_run))))
    return flow_run, {one.name: one for one in tasks}


def parents(tasks: dict[str, TaskRun], name: str) -> set[str]:
    """The names of the task runs that one waited for."""
    names = {one.id: each for each, one in tasks.items()}
    found = {entry.id for entries in tasks[name].task_inputs.values() for entry in entries if hasattr(entry, "id")}
    return {names[one] for one in found if one in names}


def test_a_flow_of_ones_own_and_one_that_calls_ours_publish(tmp_path: Path, server: FakeServer) -> None:
    recipe, workspace = job(tmp_path, server)
    output = asyncio.run(nightly(recipe, workspace))
    assert output.startswith("done: ")
    assert str(tmp_path / "out") in output
    before = server.stats()["calls"]
    run = asyncio.run(outer(recipe, workspace))
    assert run == latest(workspace).id
    assert server.stats()["calls"] == before
    state = latest(workspace).state()
    assert (state.status, state.published) == ("done", str(tmp_path / "out"))


def test_two_runs_in_one_process_do_not_meet(tmp_path: Path, server: FakeServer) -> None:
    jobs = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        jobs.append(job(tmp_path / name, server))

    async def both() -> None:
        await asyncio.gather(*(nightly(recipe, workspace) for recipe, workspace in jobs))

    asyncio.run(both())
    for recipe, workspace in jobs:
        [state] = Workspace(Path(workspace)).runs()
        assert (state.status, state.published) == ("done", str(Path(recipe).parent / "out"))
        assert {line.handle.run for line in latest(workspace).handles()} == {state.run}


def test_the_flow_run_says_which_run_it_is_and_what_came_of_it(tmp_path: Path, server: FakeServer) -> None:
    recipe, workspace = job(tmp_path, server)
    run_id = asyncio.run(preference(recipe, workspace=workspace))
    flow_run, tasks = seen(workspace)
    assert flow_run.name == run_id == latest(workspace).id
    assert {"kasasagi", latest(workspace).state().name} <= set(flow_run.tags)
    assert flow_run.state is not None
    assert flow_run.state.message is not None
    assert f"pairs in {tmp_path / 'out'}" in flow_run.state.message
    assert "respond-0" in tasks
    recipe_key = f"{latest(workspace).state().name}-recipe"
    assert recipe_key in asyncio.run(artifact_keys(flow_run.id))
    [asset] = publishing(latest(workspace)).assets
    assert asset.key == f"kasasagi://datasets/{latest(workspace).state().name}"


def test_the_edges_of_the_graph_are_the_true_ones_also_for_cached_chunks(tmp_path: Path, server: FakeServer) -> None:
    recipe, workspace = job(tmp_path, server)
    for _ in range(2):
        asyncio.run(preference(recipe, workspace=workspace))
        _, tasks = seen(workspace)
        last = max(int(name.removeprefix("respond-")) for name in tasks if name.startswith("respond-"))
        assert last > 0
        assert parents(tasks, "filter-0") == {"load-0"}
        for number in (0, last):
            assert parents(tasks, f"judge-{number}") >= {f"respond-{number}"}
            assert not parents(tasks, f"judge-{number}") & {
                f"respond-{other}" for other in range(last) if other != number
            }
            assert parents(tasks, f"format_dpo-{number}") >= {f"judge-{number}"}
        assert parents(tasks, "gate-respond-whole") == {name for name in tasks if name.startswith("respond-")}
        assert {"gate-filter-whole", "filter-0"} <= parents(tasks, "respond-0")
        published = next(name for name in tasks if name.startswith("publish"))
        assert {"gate-judge-whole", "gate-format_dpo-whole", f"format_dpo-{last}"} <= parents(tasks, published)


IMPOSSIBLE = {
    "stage": "respond",
    "expectation": "ExpectColumnValueLengthsToBeBetween",
    "column": "content",
    "min_value": 10**6,
}


def test_a_gate_that_fails_is_the_one_that_is_failed_and_nothing_is_left_running(
    tmp_path: Path, server: FakeServer
) -> None:
    recipe, workspace = job(tmp_path, server, on_fail="stop", expect=[IMPOSSIBLE])
    with pytest.raises(GateFailedError):
        asyncio.run(nightly(recipe, workspace))
    _, tasks = seen(workspace)
    states = {name: one.state for name, one in tasks.items()}
    failed = {name: state.message for name, state in states.items() if state is not None and state.is_failed()}
    assert list(failed) == ["gate-respond-scout"]
    assert "respond: " in str(failed["gate-respond-scout"])
    assert all(state is not None and state.is_final() for state in states.values())
    assert latest(workspace).state().status == "stopped"


def test_our_flow_can_be_pickled_by_value_as_serving_does() -> None:
    cloudpickle.register_pickle_by_value(kasasagi.flows.preference)
    try:
        assert cloudpickle.loads(cloudpickle.dumps(preference)).name == "preference"
    finally:
        cloudpickle.unregister_pickle_by_value(kasasagi.flows.preference)


def test_each_stage_is_a_prefect_task_of_its_own_package() -> None:
    from kasasagi.tasks.judge import judge
    from kasasagi.tasks.respond import respond

    assert (respond.name, respond.retries, respond.persist_result) == ("respond", 2, True)
    assert judge.task_run_name == "{job.stage}-{job.chunk}"
    assert respond.tags == {"kasasagi", "respond"}
