"""The dispatcher's event loop: uvloop's, or asyncio's where there is no uvloop."""

import asyncio
import sys
from pathlib import Path

import pytest

from kasasagi.blocks.dispatch.event_loop import new_event_loop
from tests.blocks.helpers import Reply, ScriptedServer, answer_body, dispatching, model, questions

MODELS = (200, {}, b'{"data": [{"id": "small"}]}')


def test_uvloop_serves_where_it_is_installed() -> None:
    uvloop = pytest.importorskip("uvloop")
    loop = new_event_loop()
    assert isinstance(loop, uvloop.Loop)
    loop.close()


def test_asyncio_serves_where_it_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    loop = new_event_loop()
    assert type(loop) is type(asyncio.new_event_loop())
    loop.close()

    def answer(number: int, headers: object) -> Reply:
        return 200, {}, answer_body(f"answer {number}")

    with (
        ScriptedServer(answer, MODELS) as server,
        dispatching(tmp_path, {"small": model(server.base_url)}) as dispatcher,
    ):
        answers = dispatcher.ask(questions(3))
    assert sorted(one.text for one in answers) == ["answer 0", "answer 1", "answer 2"]
