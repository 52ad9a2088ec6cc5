"""The deployments: what the YAML says is what `kasasagi serve` makes, and a real server schedules it."""

import importlib
import importlib.util
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.exceptions import ParameterTypeError

from kasasagi.blocks.workspace.runs import Run, Workspace
from kasasagi.flows.cli.prefect_server import deployments
from kasasagi.flows.instructions import instructions
from kasasagi.flows.people.approval import pause_key
from kasasagi.flows.people.approval_event import emit_approval_event
from kasasagi.flows.preference import preference
from kasasagi.flows.recipe.loading import shipped_recipes
from kasasagi.flows.runner import send_history
from kasasagi.tasks.gate.outcome import Outcome
from tests.blocks.helpers import until
from tests.full_prefect import full_prefect

ROOT = Path(__file__).parents[2]
FILE = ROOT / "deployments" / "prefect.yaml"
ENTRIES: list[dict[str, Any]] = yaml.safe_load(FILE.read_text(encoding="utf-8"))["deployments"]
NAMES = [entry["name"] for entry in ENTRIES]


def entry(name: str) -> dict[str, Any]:
    return ENTRIES[NAMES.index(name)]


def test_there_is_a_nightly_one_a_paused_hourly_one_and_one_on_demand() -> None:
    assert entry("nightly")["schedules"][0]["active"] is True
    assert len(entry("nightly")["schedules"][0]["cron"].split()) == 5
    assert entry("hourly")["schedules"][0]["active"] is False
    assert entry("on-demand")["schedules"] == []


def test_none_has_a_concurrency_limit_which_would_end_a_run_that_waits_for_a_person() -> None:
    assert all("concurrency_limit" not in one for one in ENTRIES)
    assert all(one.concurrency_limit is None for one in deployments({}))


AUTOMATIONS = yaml.safe_load((ROOT / "deployments" / "automations.yaml").read_text(encoding="utf-8"))["automations"]


def test_our_deployments_have_the_tag_by_which_the_automations_know_our_runs() -> None:
    assert all(one["tags"] == ["kasasagi"] for one in ENTRIES)
    assert all(one.tags == ["kasasagi"] for one in deployments({}))


def related(*names: tuple[str, str]) -> list[dict[str, str]]:
    return [{"prefect.resource.id": name, "prefect.resource.role": role} for name, role in names]


@pytest.mark.parametrize("name", ["kasasagi-run-crashed", "kasasagi-run-lost"])
def test_the_automations_leave_other_projects_and_suspended_runs_alone(name: str) -> None:
    from prefect.server.events.schemas.automations import EventTrigger
    from prefect.server.events.schemas.events import RelatedResource, Resource

    [entry] = [one for one in AUTOMATIONS if one["name"] == name]
    trigger = EventTrigger.model_validate({**entry["trigger"], "id": "00000000-0000-0000-0000-000000000000"})
    run = Resource.model_validate({"prefect.resource.id": "prefect.flow-run.1"})
    ours = related(("prefect.deployment.2", "deployment"), ("prefect.tag.kasasagi", "tag"))
    theirs = related(("prefect.deployment.3", "deployment"), ("prefect.tag.etl", "tag"))
    for names, acts in ((ours, True), (theirs, False)):
        assert trigger.covers_resources(run, [RelatedResource.model_validate(one) for one in names]) == acts
    if name == "kasasagi-run-lost":
        assert {"prefect.flow-run.Suspended", "prefect.flow-run.Paused"} <= set(trigger.expect)


@pytest.mark.parametrize("flow", [preference, instructions])
def test_a_number_of_rows_below_nothing_is_refused_by_the_form(flow: Any) -> None:
    assert flow.parameters.properties["rows"]["minimum"] == 0
    with pytest.raises(ParameterTypeError, match="rows"):
        flow.validate_parameters({"recipe": "quickstart", "rows": -5})


def test_each_pause_has_a_key_of_its_own_that_prefect_takes(tmp_path: Path) -> None:
    stage = {
        "stage": "respond",
        "expectation": "x",
        "severity": "critical",
        "success": False,
        "observed": "0",
        "detail": "",
    }
    keys = {
        pause_key(Run(Workspace(tmp_path), run), [Outcome(scope=scope, **stage)])
        for run in ("20261129-010203-my-job-ab12", "20261129-010203-my-job-cd34")
        for scope in ("scout", "whole")
    }
    assert len(keys) == 4
    assert all(re.fullmatch(r"[a-z0-9-]+", key) for key in keys)


@pytest.mark.parametrize("name", NAMES)
def test_an_entrypoint_is_a_flow_and_its_parameters_fit(name: str) -> None:
    file, _, function = entry(name)["entrypoint"].partition(":")
    spec = importlib.util.spec_from_file_location("entrypoint", ROOT / file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    flow = getattr(module, function)
    given = entry(name)["parameters"] | {
        name: value for one in entry(name).get("triggers", ()) for name, value in one["parameters"].items()
    }
    flow.validate_parameters(given)
    assert flow.isasync
    assert "{{" not in str(entry(name)["parameters"]), "Prefect would fill it in, or delete it"


@pytest.mark.parametrize("name", [name for name in NAMES if name != "publish-approved"])
def test_their_recipe_travels_with_us(name: str) -> None:
    assert entry(name)["parameters"]["recipe"] in shipped_recipes()


def schedule_of(one: Any) -> dict[str, Any]:
    plain = one.schedule.model_dump(exclude_none=True, mode="json")
    found = {name: plain[name] for name in ("cron", "timezone") if name in plain and "cron" in plain}
    found |= {"interval": int(one.schedule.interval.total_seconds())} if "interval" in plain else {}
    return found | {"active": one.active}


def plain_trigger(one: Any) -> dict[str, Any]:
    plain = one.model_dump(mode="json")
    return {name: plain[name] for name in ("type", "enabled", "expect", "parameters")}


def test_serving_makes_what_the_file_says() -> None:
    made = {one.name: one for one in deployments({})}
    assert list(made) == NAMES
    for name, one in made.items():
        wanted = entry(name)
        assert one.description == wanted["description"]
        assert one.parameters == wanted["parameters"]
        assert [schedule_of(schedule) for schedule in one.schedules] == wanted["schedules"]
        assert one.entrypoint.endswith(wanted["entrypoint"])
        assert [plain_trigger(trigger) for trigger in one.triggers] == wanted.get("triggers", [])


def test_another_recipe_and_workspace_may_be_served() -> None:
    changes = {"recipe": "two-models-one-judge", "workspace": "/data"}
    made = {one.name: one for one in deployments(changes)}
    approved = made.pop("publish-approved")
    assert all(changes.items() <= one.parameters.items() for one in made.values())
    assert approved.parameters == {"workspace": "/data"}, "which run it is, the event tells"


def test_the_nightly_one_publishes_what_is_new_and_the_weekly_one_asks_the_judges_anew() -> None:
    assert entry("nightly")["parameters"]["new_only"] is True
    assert entry("weekly-rejudge")["parameters"]["overrides"] == ["judge.round=weekly"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, used_home: Path) -> Iterator[str]:
    """A full Prefect server, with its scheduler, in a process of its own."""
    home = shutil.copytree(used_home, tmp_path_factory.mktemp("server") / "home")
    with full_prefect(home) as address:
        yield address


def scheduled(client: Any, deployment: Any) -> list[Any]:
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId, FlowRunFilter

    runs = client.read_flow_runs(
        flow_run_filter=FlowRunFilter(),
        deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment])),
        limit=50,
    )
    assert all(run.state is not None and run.state.is_scheduled() for run in runs)
    return list(runs)


def test_a_server_schedules_the_nightly_one_and_not_the_paused_one(server: str) -> None:
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: server}), get_client(sync_client=True) as client:
        ids = {one.name: one.apply() for one in deployments({})}
        until(lambda: scheduled(client, ids["nightly"]), 60)
        runs = scheduled(client, ids["nightly"])
        assert {run.expected_start_time.strftime("%H:%M") for run in runs} == {"03:00"}
        assert len({run.expected_start_time for run in runs}) == len(runs)
        until(lambda: scheduled(client, ids["weekly-rejudge"]), 60)
        weekly = {run.expected_start_time.strftime("%A %H:%M") for run in scheduled(client, ids["weekly-rejudge"])}
        assert weekly == {"Monday 05:00"}
        assert not scheduled(client, ids["hourly"])
        assert not scheduled(client, ids["on-demand"])
        known = {one.name: one for one in client.read_deployments()}
        assert sorted(known) == sorted(NAMES)


def stopped_run(folder: Path) -> Run:
    workspace = Workspace(folder)
    workspace.prepare()
    run = Run.begin(workspace, "20260101-000000-pairs-ab12", "pairs", {})
    run.save(run.state().model_copy(update={"status": "stopped", "exit_code": 3}))
    return run


def test_an_approval_starts_the_publication_of_its_run(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings

    run = stopped_run(tmp_path)
    monkeypatch.setenv("PREFECT_API_URL", server)
    with temporary_settings({PREFECT_API_URL: server}), get_client(sync_client=True) as client:
        [approved] = [one.apply() for one in deployments({}) if one.name == "publish-approved"]
        assert not scheduled(client, approved)
        send_history()  # what earlier tests left to be sent goes to another server, and so would this

        emitted = 0.0

        def published() -> bool:
            nonlocal emitted
            if time.monotonic() > emitted + 10:  # again, until the server listens for it, but not more than it can take
                emit_approval_event(run)
                emitted = time.monotonic()
            return bool(scheduled(client, approved))

        until(published, 180)
        for started in scheduled(client, approved):
            assert started.parameters == {"run": run.id, "workspace": str(run.workspace.folder)}


def test_a_run_that_still_waits_emits_no_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = stopped_run(tmp_path)
    run.save(run.state().model_copy(update={"status": "running"}))
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")
    monkeypatch.setattr("kasasagi.flows.reporting.events.emit_run_event", pytest.fail)
    emit_approval_event(run)


def test_deployments_that_were_made_before_find_the_flow_at_its_former_place() -> None:
    assert entry("weekly-rejudge")["entrypoint"] == "flows/rejudge.py:rejudge"
    before = importlib.import_module("kasasagi.flows.rejudging")
    assert before.rejudge is importlib.import_module("kasasagi.flows.rejudge").rejudge
