"""What the end-to-end tests share: one Prefect server, fake model servers, and a job that is complete."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from flows.local_server import prefect_server
from tests.e2e.job import MODELS, Job
from tests.e2e.warm import Warmed
from tests.fake_server import FakeServer

PROMPTS = 40
NewJob = Callable[..., Job]


@pytest.fixture(scope="package", autouse=True)
def ctrl_c_is_heard() -> Iterator[None]:
    """Children of a process that ignores Ctrl-C, as a script's background jobs do, would ignore it too."""
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="package")
def prefect_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A Prefect home of our own, for us and for all commands."""
    folder = tmp_path_factory.mktemp("prefect")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_HOME", str(folder))
        patch.delenv("PREFECT_API_URL", raising=False)
        yield folder


@pytest.fixture(scope="package")
def prefect_api(prefect_home: Path) -> Iterator[str]:
    """The address of a Prefect server that all runs report to."""
    with prefect_server(prefect_home / "server") as server:
        server.wait_until_ready()
        yield os.environ["PREFECT_API_URL"]


@pytest.fixture(scope="package")
def warmed(prefect_home: Path, prefect_api: str) -> Iterator[Warmed]:
    """The process that commands are forked from."""
    with Warmed({**os.environ, "PREFECT_HOME": str(prefect_home), "PREFECT_API_URL": prefect_api}) as process:
        yield process


@pytest.fixture
def new_job(tmp_path: Path, warmed: Warmed) -> Iterator[NewJob]:
    """Makes jobs with a server each; its arguments are the server's configuration."""
    with ExitStack() as stack:

        def make(name: str = "job", **config: Any) -> Job:
            server = stack.enter_context(FakeServer(models=MODELS, **config))
            job = Job(tmp_path / name, server, {}, warmed)
            stack.callback(job.command.stop)
            return job

        yield make


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[NewJob]:
    """Makes jobs whose commands start from nothing and have no Prefect server but their own, at a home of their own."""
    with ExitStack() as stack:

        def make(name: str = "alone", **config: Any) -> Job:
            server = stack.enter_context(FakeServer(models=MODELS, **config))
            job = Job(tmp_path / name, server, {"PREFECT_HOME": str(tmp_path / name / "prefect-home")})
            job.command.environment.pop("PREFECT_API_URL", None)
            stack.callback(job.command.stop)
            return job

        yield make


@pytest.fixture(scope="package")
def finished(tmp_path_factory: pytest.TempPathFactory, warmed: Warmed) -> Iterator[Job]:
    """A job of 40 prompts that ran undisturbed: to be copied and compared with, not to be changed."""
    with FakeServer(models=MODELS) as server:
        job = Job(tmp_path_factory.mktemp("finished"), server, {}, warmed)
        job.prepare(PROMPTS).run().succeeded()
        yield job
