"""What all tests share: telemetry off, a Prefect home of their own, and one Prefect server for those that run flows."""

import os
import tempfile
from collections.abc import Iterator

import pytest
from hypothesis import settings

from blocks import quiet

quiet.switch_off_telemetry()
_HOME = tempfile.TemporaryDirectory(prefix="kasasagi-tests-")
os.environ["PREFECT_HOME"] = _HOME.name
for _name in ("PREFECT_API_URL", "PREFECT_PROFILE", "KASASAGI_WORKSPACE", "KASASAGI_DEBUG"):
    os.environ.pop(_name, None)

# The same examples in every run, so that a change alone can break a test; `--hypothesis-seed` draws others.
settings.register_profile("kasasagi", deadline=None, max_examples=60, derandomize=True)
settings.register_profile("deep", deadline=None, max_examples=300, derandomize=True)
settings.load_profile("kasasagi")


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """One Prefect server for all tests of this session that run tasks in flows of their own."""
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
    from prefect.testing.utilities import prefect_test_harness

    with (
        prefect_test_harness(server_startup_timeout=120),
        temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}),
    ):
        yield
