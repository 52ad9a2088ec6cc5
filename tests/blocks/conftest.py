"""What tests of the dispatcher share: a server that is started once, and retries that do not wait."""

from collections.abc import Iterator

import pytest

from kasasagi.blocks.dispatch import availability, lanes
from tests.fake_server import FakeServer, ServerConfig

PLAIN = ServerConfig(models=("small", "large", "slow"))


@pytest.fixture(scope="package")
def running() -> Iterator[FakeServer]:
    with FakeServer() as server:
        yield server


@pytest.fixture
def server(running: FakeServer) -> FakeServer:
    running.configure(**PLAIN.model_dump())
    running.reset_stats()
    return running


@pytest.fixture(scope="package")
def running_too() -> Iterator[FakeServer]:
    with FakeServer() as server:
        yield server


@pytest.fixture
def second(running_too: FakeServer) -> FakeServer:
    running_too.configure(**PLAIN.model_dump())
    running_too.reset_stats()
    return running_too


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "FIRST_WAIT_S", 0.001)
    monkeypatch.setattr(lanes, "LONGEST_WAIT_S", 0.01)


@pytest.fixture
def short_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(availability, "FIRST_REST_S", 0.01)
    monkeypatch.setattr(availability, "LONGEST_REST_S", 0.02)
