"""Real processes on one limit of a real Prefect server: never too many calls, and a killed one's slots come back."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from kasasagi.flows.cli.prefect_server import LEASES
from tests.blocks.helpers import until
from tests.fake_server import FakeServer
from tests.full_prefect import full_prefect

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
LIMIT = 16
LONG = 300.0
ASKS = """
import sys
from pathlib import Path
from tests.blocks.helpers import dispatching, model, questions
folder, address, name = sys.argv[1:]
asked = model(address, name, prefect_limit="gpu", start_concurrency=64, max_concurrency=64)
with dispatching(Path(folder), {name: asked}) as dispatcher:
    for number in range(1_000_000):
        dispatcher.ask(questions(100, name, f"round {number}"))
"""


@contextmanager
def asking(folder: Path, server: FakeServer, name: str, api: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that asks a model without end, under the limit of that Prefect server."""
    environment = {**os.environ, "PREFECT_API_URL": api, "PYTHONPATH": str(ROOT / "src")}
    process = subprocess.Popen([sys.executable, "-c", ASKS, str(folder), server.base_url, name], env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def make_limit(api: str, name: str, slots: int) -> Callable[[], int]:
    """A limit on a Prefect server, and how many of its slots are taken."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
    from prefect.settings import PREFECT_API_URL, temporary_settings

    def taken() -> int:
        with temporary_settings({PREFECT_API_URL: api}), get_client(sync_client=True) as client:
            return client.read_global_concurrency_limit_by_name(name).active_slots

    with temporary_settings({PREFECT_API_URL: api}), get_client(sync_client=True) as client:
        client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=name, limit=slots))
    return taken


def test_two_processes_keep_one_limit_and_the_slots_of_a_killed_one_come_back(
    server: FakeServer, tmp_path: Path, used_home: Path
) -> None:
    shutil.copytree(used_home, tmp_path / "home")

    def finished(name: str) -> int:
        return int(server.stats()["by_model"].get(name, {}).get("samples_finished", 0))

    server.configure(first_token_s=0.3)
    with ExitStack() as stack:
        api = stack.enter_context(full_prefect(tmp_path / "home", PREFECT_SERVER_SERVICES_REPOSSESSOR_LOOP_SECONDS="1"))
        taken = make_limit(api, "gpu", LIMIT)
        one = stack.enter_context(asking(tmp_path / "a", server, "small", api))
        until(lambda: finished("small") > 2 * LIMIT, LONG)
        other = stack.enter_context(asking(tmp_path / "b", server, "large", api))
        until(lambda: finished("large") > 2 * LIMIT, LONG)
        assert taken() <= LIMIT
        one.send_signal(signal.SIGKILL)
        one.wait()
        until(lambda: server.stats()["in_flight"] == LIMIT, LONG)
        assert other.poll() is None
        assert server.stats()["peak_in_flight"] == LIMIT


def test_slots_that_a_process_held_come_back_though_prefect_was_restarted(tmp_path: Path, used_home: Path) -> None:
    shutil.copytree(used_home, tmp_path / "home")
    from kasasagi.blocks.dispatch.prefect_slots import PrefectSlots

    settings = {**LEASES, "PREFECT_SERVER_SERVICES_REPOSSESSOR_LOOP_SECONDS": "1"}

    async def take() -> None:
        slots = PrefectSlots()
        assert await slots.take("gpu", 3) is not None
        await slots.close()

    with full_prefect(tmp_path / "home", **settings) as api, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_API_URL", api)
        taken = make_limit(api, "gpu", LIMIT)
        asyncio.run(take())
        assert taken() == 3
    port = int(api.rsplit(":", 1)[1].split("/")[0])
    with full_prefect(tmp_path / "home", port, **settings):
        assert taken() == 3
        until(lambda: taken() == 0, LONG)
