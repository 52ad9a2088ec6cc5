"""Deployments as a team has them: a Prefect server, `prefect deploy`, a process worker, a failure and its retry."""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from kasasagi.flows.server.private_server import free_port
from tests.e2e.command import Command, until
from tests.e2e.job import CONCURRENCY, LOSABLE, MODELS, Job
from tests.e2e.warm import ROOT, Warmed
from tests.fake_server import FakeServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
PROMPTS = 40
BUSY = 503
NEVER = {"stage": "respond", "expectation": "ExpectColumnValuesToBeInSet", "column": "refused", "value_set": [True]}


OWN = '''
from prefect import flow

from kasasagi import open_run
from kasasagi.flows.preference import make_pairs, make_prompts


@flow
async def own(recipe: str):
    """A flow of the user's own."""
    async with open_run(recipe) as run:
        await make_pairs(run, await make_prompts(run))
        await run.publish()
    return run.final_state()
'''
DEPLOY = f"""
from prefect import flow

ours = flow.from_source({str(ROOT)!r}, "flows/preference.py:preference")
ours.deploy("in-python", work_pool_name="kasasagi", print_next_steps=False)
own = flow.from_source(".", "own.py:own")
own.deploy("in-python", work_pool_name="kasasagi", print_next_steps=False)
"""


class Team:
    """A Prefect server with its environment, and what is asked of it."""

    def __init__(self, folder: Path, workspace: Path, warmed: Warmed) -> None:
        self.workspace = workspace
        self.address = f"http://127.0.0.1:{free_port()}"
        self._processes: list[subprocess.Popen[bytes]] = []
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT / "src"),
            "PREFECT_HOME": str(folder),
            "PREFECT_API_URL": f"{self.address}/api",
            "KASASAGI_WORKSPACE": str(workspace),
        }
        folder.mkdir(exist_ok=True)
        self._command = Command(folder, {}, warmed)
        self._command.environment = self.environment
        self._warmed = warmed

    def job(self, folder: Path, server: FakeServer) -> Job:
        """A job in the team's workspace, which is new; its commands know no Prefect server."""
        if self.workspace.exists():
            self.workspace.rename(self.workspace.with_name(f"ws-before-{folder.parent.name}"))
        made = Job(folder, server, {}, self._warmed)
        made.workspace = self.workspace
        del made.command.environment["PREFECT_API_URL"]
        return made

    def start(self, *command: str) -> None:
        """Start a process that runs until the team goes home."""
        self._processes.append(
            subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=ROOT,
                env=self.environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )

    def start_worker(self) -> None:
        """Start a process worker."""
        self.start("prefect", "worker", "start", "--pool", "kasasagi")

    def stop_worker(self) -> None:
        """End the process that was started last, which is the worker."""
        worker = self._processes.pop()
        worker.terminate()
        worker.wait(60)

    def kill_worker(self) -> None:
        """Kill the worker and all that it has started, so that nobody is left to report it."""
        worker = self._processes.pop()
        for process in [psutil.Process(worker.pid), *psutil.Process(worker.pid).children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        worker.wait()

    def start_run(self, deployment: str, recipe: Path, flow: str = "preference") -> str:
        """Start a run of a deployment with a recipe; gives its id."""
        found = self.asked(f"deployments/name/{flow}/{deployment}")["id"]
        asked = {"parameters": {"recipe": str(recipe)}}
        return str(self.asked(f"deployments/{found}/create_flow_run", asked)["id"])

    def kill_runs(self) -> None:
        """Kill the processes of all flow runs that the worker has started."""
        children = psutil.Process(self._processes[-1].pid).children(recursive=True)
        engines = [child for child in children if "prefect.engine" in child.cmdline()]
        assert engines, [child.cmdline() for child in children]
        for engine in engines:
            engine.kill()

    def prefect(self, *arguments: str) -> str:
        """Run a `prefect` command and return its output."""
        return self._command.prefect(*arguments).succeeded().out

    def automate(self, file: Path) -> None:
        """Create the automations of a file."""
        self.prefect("automation", "create", "--from-file", str(file))

    def recover(self) -> None:
        """Delete the automations and resume what they have paused, so that the next test finds what this one found."""
        for automation in self.asked("automations/filter", {}):
            if automation["name"].startswith("kasasagi-"):
                self.asked(f"automations/{automation['id']}", method="DELETE")
        for deployment in self.asked("deployments/filter", {}):
            if deployment["paused"] and deployment["name"] != "hourly":
                self.asked(f"deployments/{deployment['id']}/resume_deployment", {})

    def asked(self, path: str, body: dict[str, Any] | None = None, method: str | None = None) -> Any:
        """What the server's API answers, as soon as it has time for us."""
        found: list[Any] = []

        def answered() -> bool:
            try:
                found.append(self._asked(path, body, method))
            except urllib.error.HTTPError as error:
                if error.code != BUSY:
                    raise
            return bool(found)

        until(answered, "the Prefect server has time", 60)
        return found[0]

    def _asked(self, path: str, body: dict[str, Any] | None, method: str | None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        header = {"content-type": "application/json"}
        request = urllib.request.Request(f"{self.address}/api/{path}", data, header, method=method)
        with urllib.request.urlopen(request, timeout=120) as reply:
            return json.loads(reply.read() or b"null")

    def is_up(self) -> bool:
        """Whether the server answers."""
        try:
            return bool(self.asked("health"))
        except OSError:
            return False

    def state(self, run: str) -> str:
        """The type of a flow run's state."""
        return str(self.asked(f"flow_runs/{run}")["state_type"])

    def approved(self, run: str) -> bool:
        """Answer the form of a paused run as its page does; whether it was taken: a pause shows before its form."""
        taken = self.asked(f"flow_runs/{run}/resume", {"run_input": {"approve": True}})
        return bool(taken["status"] != "REJECT")

    def go_home(self) -> None:
        """End all processes."""
        for process in reversed(self._processes):
            process.terminate()
        for process in reversed(self._processes):
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def team(folder: Path, warmed: Warmed) -> Iterator[Team]:
    """A server with the deployments of deployments/prefect.yaml and a process worker."""
    found = Team(folder / "prefect", folder / "ws", warmed)
    try:
        found.start("kasasagi.flows.cli.app", "ui", "--port", found.address.rpartition(":")[2])
        until(found.is_up, "the Prefect server answers")
        found.prefect("work-pool", "create", "kasasagi", "--type", "process")
        found.prefect("--no-prompt", "deploy", "--prefect-file", "deployments/prefect.yaml", "--all")
        found.start_worker()
        yield found
    finally:
        found.go_home()


def test_a_worker_runs_a_deployment_whose_failure_is_retried_from_where_it_stopped(
    prefect: Team, tmp_path: Path
) -> None:
    with FakeServer(models=MODELS) as server:
        job = prefect.job(tmp_path / "job", server)
        job.prepare(PROMPTS, publish={"path": str(job.out)}, gates={"expect": [NEVER]})
        prefect.automate(impatient_automations(tmp_path))
        deployment = prefect.asked("deployments/name/preference/on-demand")["id"]
        asked = {"parameters": {"recipe": str(job.folder / "recipe.yaml")}}
        run = str(prefect.asked(f"deployments/{deployment}/create_flow_run", asked)["id"])
        until(lambda: prefect.state(run) == "FAILED", "the gate has failed the run", 120)
        message = prefect.asked(f"flow_runs/{run}")["state"]["message"]
        assert "refusals: 0.0% of 80 (at least 90.0%" in message
        assert not job.out.exists()
        until(lambda: prefect.asked(f"deployments/{deployment}")["paused"], "the automation pauses the deployment", 120)

        job.prepare(PROMPTS, publish={"path": str(job.out)})
        prefect.prefect("flow-run", "retry", run)
        until(lambda: prefect.state(run) == "COMPLETED", "the retried run has ended well", 120)
        assert (job.out / "train.jsonl").exists()
        assert server.stats()["samples_begun_again"] == 0
        scheduled = {
            "deployments": {"name": {"any_": ["nightly"]}},
            "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
        }
        until(lambda: bool(prefect.asked("flow_runs/filter", scheduled)), "the nightly run is scheduled", 60)
        paused = {**scheduled, "deployments": {"name": {"any_": ["hourly"]}}}
        assert prefect.asked("flow_runs/filter", paused) == []


def test_a_paused_run_of_a_deployment_goes_on_when_a_person_approves(prefect: Team, tmp_path: Path) -> None:
    with FakeServer(models=MODELS) as server:
        job = prefect.job(tmp_path / "job", server)
        job.prepare(PROMPTS, publish={"path": str(job.out)}, gates={"on_fail": "pause", "expect": [NEVER]})
        deployment = prefect.asked("deployments/name/preference/on-demand")["id"]
        asked = {"parameters": {"recipe": str(job.folder / "recipe.yaml")}}
        run = str(prefect.asked(f"deployments/{deployment}/create_flow_run", asked)["id"])
        until(lambda: prefect.state(run) == "PAUSED", "the gate pauses the run", 120)
        sent = server.stats()["calls"]

        until(lambda: prefect.approved(run), "the form of the pause can be answered", 60)
        until(lambda: prefect.state(run) == "PAUSED", "the whole is asked about too", 120)
        assert server.stats()["calls"] > sent
        assert not job.out.exists()
        done = job.command("approve", "-w", job.workspace, "--yes").succeeded()
        assert "refusals: 0.0% of 80 (at least 90.0%)" in done.out
        until(lambda: prefect.state(run) == "COMPLETED", "the approved run has ended well", 120)
        assert (job.out / "train.jsonl").exists()


def test_a_worker_runs_our_flow_and_a_users_own_that_are_deployed_in_python(prefect: Team, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN, encoding="utf-8")
    (tmp_path / "deploy.py").write_text(DEPLOY, encoding="utf-8")
    with FakeServer(models=MODELS) as server:
        job = prefect.job(tmp_path / "job", server)
        job.prepare(PROMPTS, publish={"path": str(job.out)})
        subprocess.run([sys.executable, "deploy.py"], cwd=tmp_path, env=prefect.environment, check=True, timeout=240)
        calls = []
        for flow in ("preference", "own"):
            run = prefect.start_run("in-python", job.folder / "recipe.yaml", flow)
            until(lambda run=run: prefect.state(run) == "COMPLETED", f"{flow} has ended well", 240)
            calls.append(server.stats()["calls"])
        assert calls[0] == calls[1] > PROMPTS
        assert (job.out / "train.jsonl").exists()


def test_an_approval_has_a_worker_go_on_with_a_run_that_has_ended_and_publish_it(prefect: Team, tmp_path: Path) -> None:
    with FakeServer(models=MODELS) as server:
        job = prefect.job(tmp_path / "job", server)
        job.command.environment["PREFECT_API_URL"] = prefect.environment["PREFECT_API_URL"]
        job.prepare(PROMPTS, publish={"path": str(job.out)}, gates={"on_fail": "pause", "expect": [NEVER]})
        job.run().failed(3)
        asked = {"deployments": {"name": {"any_": ["publish-approved"]}}}
        assert prefect.asked("flow_runs/filter", asked) == []

        job.command("approve", "-w", job.workspace, "--yes").succeeded()
        until(lambda: bool(prefect.asked("flow_runs/filter", asked)), "the approval starts the publication", 120)
        [started] = prefect.asked("flow_runs/filter", asked)
        until(lambda: prefect.state(started["id"]) == "PAUSED", "the whole is asked about too", 180)
        assert not job.out.exists()
        job.command("approve", "-w", job.workspace, "--yes").succeeded()
        until(lambda: prefect.state(started["id"]) == "COMPLETED", "the approved run is published", 180)
        assert (job.out / "train.jsonl").exists()
        assert server.stats()["samples_begun_again"] == 0
        assert len(prefect.asked("flow_runs/filter", asked)) == 1


def impatient_automations(folder: Path, lost_after_s: int = 600) -> Path:
    """The automations, but a crashed run is taken up again after seconds, and a lost one marked after lost_after_s."""
    content = yaml.safe_load((ROOT / "deployments/automations.yaml").read_text(encoding="utf-8"))
    within = {"kasasagi-run-crashed": 30, "kasasagi-run-lost": lost_after_s}
    for one in content["automations"]:
        if one["name"] in within:
            one["trigger"]["within"] = within[one["name"]]
    path = folder / "automations.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def test_a_run_that_was_missed_is_marked_and_one_that_was_killed_is_taken_up_again(
    prefect: Team, tmp_path: Path
) -> None:
    with FakeServer(models=MODELS, first_token_s=0.3) as server:
        job = prefect.job(tmp_path / "job", server)
        job.prepare(PROMPTS, publish={"path": str(job.out)})
        prefect.automate(impatient_automations(tmp_path))
        prefect.stop_worker()
        deployment = prefect.asked("deployments/name/preference/on-demand")["id"]
        asked = {"parameters": {"recipe": str(job.folder / "recipe.yaml")}}
        run = str(prefect.asked(f"deployments/{deployment}/create_flow_run", asked)["id"])
        until(lambda: prefect.asked(f"flow_runs/{run}")["state_name"] == "Late", "the missed run is marked", 120)
        assert server.stats()["samples_begun"] == 0

        prefect.start_worker()
        until(lambda: server.stats()["samples_begun"] > CONCURRENCY, "the late run has begun", 240)
        prefect.kill_runs()
        until(lambda: prefect.state(run) == "COMPLETED", "the killed run is taken up again", 300)
        assert prefect.asked(f"flow_runs/{run}")["run_count"] == 2
        assert (job.out / "train.jsonl").exists()
        assert server.stats()["samples_begun_again"] <= LOSABLE
