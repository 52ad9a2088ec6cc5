"""The server that takes batches."""

from collections.abc import Iterator

import pytest

from tests.fake_server import FakeServer, ServerConfig


@pytest.fixture(scope="module")
def running() -> Iterator[FakeServer]:
    with FakeServer() as server:
        yield server


@pytest.fixture
def server(running: FakeServer, quick: None) -> FakeServer:
    running.configure(**ServerConfig(models=("small",)).model_dump())
    running.reset_stats()
    return running
