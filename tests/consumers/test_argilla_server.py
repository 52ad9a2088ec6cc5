"""People's verdicts by way of a real Argilla server: `make test-consumers` installs it in a Python of its own."""

import json
import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kasasagi.flows.people.verdicts import pull, push
from kasasagi.flows.server.private_server import free_port
from tests.blocks.helpers import until
from tests.flows.test_verdicts import LENIENT, pairs_of
from tests.run_example import build_example_run

pytestmark = pytest.mark.consumers

KEY = "argilla-key-marked-91c2"


@pytest.fixture
def argilla(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server that has nothing yet."""
    python = Path(os.environ["KASASAGI_CONSUMERS"]) / "argilla" / "bin" / "python"
    address = f"http://127.0.0.1:{free_port()}"
    home = tmp_path / "argilla"
    home.mkdir()
    script = Path(__file__).parent / "argilla_serves.py"
    process = subprocess.Popen([str(python), str(script), str(home), address.rpartition(":")[2], KEY])

    def answers() -> bool:
        assert process.poll() is None
        try:
            with urllib.request.urlopen(f"{address}/api/v1/status", timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            return False

    try:
        until(answers, 240)
        monkeypatch.setenv("ARGILLA_API_URL", address)
        monkeypatch.setenv("ARGILLA_API_KEY", KEY)
        yield address
    finally:
        process.kill()
        process.wait()


def rate(address: str, record: Any, best: str, status: str) -> None:
    """Rate the response of that id 5 and the other 1, as the owner of the key."""
    marks = (5, 1) if record.metadata["response_1"] == best else (1, 5)
    values = {name: {"value": mark} for name, mark in zip(("rating_1", "rating_2"), marks, strict=True)}
    request = urllib.request.Request(
        f"{address}/api/v1/records/{record._server_id}/responses",
        json.dumps({"values": values, "status": status}).encode(),
        {"X-Argilla-Api-Key": KEY, "content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as reply:
        assert reply.status == 201


def test_pairs_go_there_and_what_people_submit_outranks_the_judge(argilla: str, tmp_path: Path) -> None:
    import argilla as library

    run = build_example_run(tmp_path / "workspace", prompts=7, recipe=LENIENT)
    for _ in range(2):  # pushing again changes nothing
        assert push(run, None, None, None)[1] == 4
    before = pairs_of(run)
    client = library.Argilla(api_url=argilla, api_key=KEY)
    records = {one.metadata["prompt_id"]: one for one in client.datasets("two-models-one-judge").records()}
    assert set(records) == set(before)
    turned, drafted, *_ = sorted(before)
    rate(argilla, records[turned], before[turned][1], "submitted")
    rate(argilla, records[drafted], before[drafted][1], "draft")
    new, _, _ = pull(run.workspace, run.id, None, None)
    after = pairs_of(new)
    assert after[turned][:2] == (before[turned][1], before[turned][0])
    assert {name: after[name] for name in after if name != turned} == {
        name: before[name] for name in before if name != turned
    }
