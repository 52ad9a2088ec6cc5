"""A run that waits for approval by command continues, whatever Prefect answers at first."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from prefect.exceptions import NotPausedError

from kasasagi.flows.people import approval
from tests.run_example import build_example_run


def test_prefect_is_asked_until_it_lets_the_run_continue(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run = build_example_run(tmp_path)
    refusals = [NotPausedError("not yet"), RuntimeError("Run input schema not found."), httpx.ConnectError("away")]
    asked: list[dict[str, Any]] = []
    resumed = asyncio.Event()

    async def resume(flow_run: object, run_input: dict[str, Any]) -> None:
        asked.append(run_input)
        if refusals:
            raise refusals.pop(0)
        resumed.set()

    async def watch() -> None:
        watching = asyncio.create_task(approval._resumed_by_command(run, [], uuid4()))
        try:
            await asyncio.wait_for(resumed.wait(), 30)
        finally:
            watching.cancel()

    monkeypatch.setattr(approval, "aresume_flow_run", resume)
    monkeypatch.setattr(approval, "POLL_SECONDS", 0.001)
    asyncio.run(watch())
    assert asked == [{"approve": True}] * 4
