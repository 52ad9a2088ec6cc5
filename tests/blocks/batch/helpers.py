"""What tests of batches share."""

from pathlib import Path
from typing import Any

from kasasagi.blocks.dispatch.batch.notes import BatchNotes
from kasasagi.blocks.models.kinds import OpenAIModel
from kasasagi.blocks.models.llm import Completion
from tests.blocks.helpers import dispatching, model, questions
from tests.fake_server import FakeServer

QUICK = {"gather_s": 0.05, "poll_s": 0.02}


def batched(server: FakeServer | str, **settings: Any) -> OpenAIModel:
    return model(server, batch={**QUICK, **settings})


def ask(folder: Path, small: OpenAIModel, count: int, about: str) -> list[Completion]:
    with dispatching(folder, {"small": small}) as dispatcher:
        return dispatcher.ask(questions(count, about=about))


def plain_answers(folder: Path, server: FakeServer, count: int, about: str) -> list[str]:
    """What the server says to the same questions when each is sent by itself."""
    with dispatching(folder, {"small": model(server)}) as dispatcher:
        return [answer.text for answer in dispatcher.ask(questions(count, about=about))]


def batches(server: FakeServer) -> int:
    return sum(count for name, count in server.stats()["batches"].items() if name != "files")


def notes(folder: Path) -> list[Any]:
    return BatchNotes(folder / "batches").all()
