"""The compose file's commands in turn, on a PostgreSQL server where one is installed; no containers."""

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.command import until
from tests.e2e.job import MODELS, Job
from tests.e2e.test_worker import Team
from tests.e2e.warm import ROOT, Warmed
from tests.fake_server import FakeServer

PASSWORD = "as-in-the-file-env"


def programs() -> Path | None:
    """The folder with PostgreSQL's programs; Debian keeps them off the path."""
    places = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True), *map(Path, os.get_exec_path())]
    wanted = ("initdb", "pg_ctl", "createdb")
    return next((place for place in places if all((place / name).is_file() for name in wanted)), None)


pytestmark = [pytest.mark.slow, pytest.mark.skipif(programs() is None, reason="PostgreSQL is not installed")]


@pytest.fixture
def services() -> dict[str, Any]:
    """The services of the compose file, with the password given."""
    text = (ROOT / "deployments" / "compose.yaml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(text.replace("${POSTGRES_PASSWORD:?set it in the environment}", PASSWORD))
    database = found["services"]["server"]["environment"]
    database["PREFECT_API_DATABASE_CONNECTION_URL"] = database["PREFECT_API_DATABASE_CONNECTION_URL"].replace(
        "${POSTGRES_PASSWORD}", PASSWORD
    )
    return dict(found["services"])


class Database:
    """A PostgreSQL server behind a socket in a folder of its own."""

    def __init__(self, folder: Path, service: dict[str, Any]) -> None:
        self.folder = folder
        self._data = folder / "data"
        self._names = [service["environment"][f"POSTGRES_{name}"] for name in ("USER", "PASSWORD", "DB")]
        self._owner = "postgres" if os.getuid() == 0 else None  # its programs refuse to run as root

    def _run(self, program: str, *arguments: str | Path) -> None:
        found = programs()
        assert found is not None
        environment = {**os.environ, "PGPASSWORD": self._names[1]}
        command = [found / program, *arguments]
        subprocess.run(
            command, check=True, cwd=self.folder, env=environment, user=self._owner, stdout=subprocess.DEVNULL
        )

    def start(self) -> None:
        """Make the user and the database that the service names, and serve."""
        user, password, name = self._names
        secret = self.folder / "password"
        secret.write_text(password, encoding="utf-8")
        for path in (self.folder, secret):
            shutil.chown(path, self._owner or os.getuid())
        self._run("initdb", "-D", self._data, "-U", user, "--auth", "scram-sha-256", "--pwfile", secret)
        options = f"-c listen_addresses='' -k {self.folder}"
        self._run("pg_ctl", "-D", self._data, "-w", "-l", self.folder / "log", "-o", options, "start")
        self._run("createdb", "-h", self.folder, "-U", user, name)

    def stop(self) -> None:
        """Break off all connections and end."""
        self._run("pg_ctl", "-D", self._data, "-m", "fast", "stop")


@contextmanager
def database(service: dict[str, Any]) -> Iterator[Path]:
    """The folder of a PostgreSQL server's socket, with the user and the database that the service names."""
    with tempfile.TemporaryDirectory() as name:
        found = Database(Path(name), service)
        found.start()
        try:
            yield found.folder
        finally:
            found.stop()


def start_server(team: Team, service: dict[str, Any], socket: Path) -> None:
    """Start Prefect's server as the service does, at an address of its own and a database behind the socket."""
    url = service["environment"]["PREFECT_API_DATABASE_CONNECTION_URL"].replace("@database:5432/", "@/")
    team.environment |= service["environment"] | {"PREFECT_API_DATABASE_CONNECTION_URL": f"{url}?host={socket}"}
    team.start(*shlex.split(service["command"]), "--port", team.address.rpartition(":")[2])
    until(team.is_up, "the Prefect server answers")


def start_worker(team: Team, service: dict[str, Any]) -> None:
    """Do what the worker's service does once its packages are there."""
    shell = shlex.split(service["command"])[-1]
    install, *commands = [shlex.split(command) for command in shell.split("&&")]
    assert install[:2] == ["pip", "install"]
    for command in commands[:-1]:
        assert command[0] == "prefect"
        team.prefect(*command[1:])
    team.start(*commands[-1])


def test_a_team_on_postgresql_runs_a_deployment_and_remembers_it(
    services: dict[str, Any], warmed: Warmed, tmp_path: Path
) -> None:
    with FakeServer(models=MODELS) as models, database(services["database"]) as socket:
        job = Job(tmp_path / "job", models, {})
        job.prepare(8, publish={"path": str(job.out)})
        team = Team(tmp_path / "prefect", tmp_path / "ws", warmed)
        try:
            start_server(team, services["server"], socket)
            start_worker(team, services["worker"])
            run = team.start_run("on-demand", job.folder / "recipe.yaml")
            until(lambda: team.state(run) == "COMPLETED", "the run has ended well", 240)
        finally:
            team.go_home()
        assert (job.out / "train.jsonl").exists()

        another = Team(tmp_path / "another", tmp_path / "ws", warmed)  # nothing but the database is the same
        try:
            start_server(another, services["server"], socket)
            assert another.state(run) == "COMPLETED"
        finally:
            another.go_home()
