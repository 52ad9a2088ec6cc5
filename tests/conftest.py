"""What all tests share: telemetry off, a Prefect home of their own, and one Prefect server for those that run flows."""

import gc
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import certifi
import pytest
from hypothesis import settings

from kasasagi.blocks import telemetry

telemetry.switch_off_telemetry()
_HOME = tempfile.TemporaryDirectory(prefix="kasasagi-tests-")
os.environ["PREFECT_HOME"] = _HOME.name
for _name in ("PREFECT_API_URL", "PREFECT_PROFILE", "KASASAGI_WORKSPACE", "KASASAGI_DEBUG"):
    os.environ.pop(_name, None)

# Each client of HTTP parses all certificates that it trusts, and a run makes a dozen clients: here they trust one.
_AUTHORITY = Path(_HOME.name, "authority.pem")
_FIRST, _END, _ = Path(certifi.where()).read_text(encoding="utf-8").partition("-----END CERTIFICATE-----\n")
_AUTHORITY.write_text(_FIRST + _END, encoding="utf-8")
os.environ.setdefault("TRUSTED_BEFORE_TESTS", os.environ.get("SSL_CERT_FILE", ""))
for _name in ("SSL_CERT_FILE", "PREFECT_API_SSL_CERT_FILE"):
    os.environ[_name] = str(_AUTHORITY)

# The same examples in every run, so that a change alone can break a test; `--hypothesis-seed` draws others.
settings.register_profile("kasasagi", deadline=None, max_examples=60, derandomize=True)
settings.register_profile("deep", deadline=None, max_examples=300, derandomize=True)
settings.load_profile("kasasagi")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Keep the garbage collector from going through all tests and modules again and again: none of them is garbage."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def pytest_unconfigure() -> None:
    """Let go of what was kept, or DuckDB's binding prints pages of leaked objects at the end."""
    gc.unfreeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the end-to-end tests, which take longest, so that no process is left alone with them at the end."""
    items.sort(key=lambda item: "/e2e/" not in item.nodeid)


# Files of slow tests that share a cluster or a Prefect server with a worker, so that one process runs all of them.
TOGETHER = {"test_cluster.py": "cluster", "test_automations.py": "team", "test_worker.py": "team"}


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """For `--dist loadgroup`, schedule each test by itself, but those of files that share something on one process.

    The groups of xdist 3.8 are not seen under pytest 9.2, where a node's id is no longer an attribute.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return TOGETHER.get(Path(nodeid.split("::", maxsplit=1)[0]).name, nodeid)

    return Scheduling(config, log) if config.getoption("dist") == "loadgroup" else None


@pytest.fixture(scope="session")
def prefect_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of the Prefect server that all tests of this session share."""
    return tmp_path_factory.mktemp("prefect")


@pytest.fixture(scope="session")
def started_prefect(prefect_home: Path) -> Iterator[str]:
    """That server, by its address."""
    from kasasagi.flows.server.private_server import FirstStart, OwnServer

    with FirstStart(prefect_home) as first_start, ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PREFECT_HOME", str(prefect_home))
            server = OwnServer(prefect_home / "server", first_start)
        stack.callback(server.stop)
        server.wait_until_ready()
        _copy_home(prefect_home, prefect_home / "used")
        yield server.address


def _copy_home(home: Path, copy: Path) -> None:
    """Copy what a server's start has written into a Prefect home, while the server runs."""
    copy.mkdir()
    for mark in home.glob("kasasagi-started-*"):
        shutil.copy(mark, copy)
    with closing(sqlite3.connect(home / "prefect.db")) as connection:
        connection.execute("VACUUM INTO ?", (str(copy / "prefect.db"),))


@pytest.fixture(scope="session")
def prefect_api(started_prefect: str) -> str:
    """The address of that server."""
    return started_prefect


@pytest.fixture(scope="session")
def used_home(prefect_home: Path, started_prefect: str) -> Path:
    """A Prefect home to copy where a server has started before, so that the next one finds its tables."""
    return prefect_home / "used"


@pytest.fixture(scope="session")
def prefect_server(prefect_api: str) -> Iterator[None]:
    """Tests that run tasks in flows of their own report to that server."""
    from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    with temporary_settings({PREFECT_API_URL: prefect_api, PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        yield
