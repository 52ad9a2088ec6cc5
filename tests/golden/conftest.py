"""A server of models, and the Prefect server of all tests, for runs in this process."""

from collections.abc import Iterator

import pytest

from tests.fake_server import FakeServer
from tests.golden.job import models_served


@pytest.fixture(scope="package")
def server(prefect_server: None) -> Iterator[FakeServer]:
    """The server that golden jobs ask; runs report to the tests' Prefect server."""
    from prefect.settings import PREFECT_API_URL

    address = PREFECT_API_URL.value()
    assert address is not None
    with models_served(address) as models:
        yield models
