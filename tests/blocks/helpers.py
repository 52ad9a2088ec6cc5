"""Models and questions for tests of the dispatcher, with waits that end as soon as what is waited for is there."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from blocks.canonical import ledger_key
from blocks.dispatcher import Dispatcher, Question
from blocks.ledger import Ledger
from blocks.llm import Completion, Engine
from blocks.models import ModelConfig, OpenAIModel
from tests.fake_server import FakeServer


def model(server: FakeServer | str, name: str = "small", **fields: Any) -> OpenAIModel:
    address = server if isinstance(server, str) else server.base_url
    return OpenAIModel.model_validate({"kind": "openai", "model": name, "base_url": address, **fields})


def question(text: str, label: str = "small", draw: int = 0, **parameters: Any) -> Question:
    request = {"messages": [{"role": "user", "content": text}], **parameters}
    return Question(label, ledger_key(label, request, draw), request)


def questions(count: int, label: str = "small", about: str = "question") -> list[Question]:
    return [question(f"{about} {number}", label) for number in range(count)]


@contextmanager
def dispatching(
    folder: Path, models: dict[str, ModelConfig], engines: dict[str, Engine] | None = None
) -> Iterator[Dispatcher]:
    dispatcher = Dispatcher(models, engines or {}, folder)
    try:
        yield dispatcher
    finally:
        dispatcher.close()


def kept(folder: Path, asked: Sequence[Question]) -> dict[str, Completion]:
    ledger = Ledger(folder)
    try:
        return ledger.known([one.key for one in asked])
    finally:
        ledger.close()


def until(holds: Callable[[], Any], seconds: float = 20.0) -> Any:
    end = time.monotonic() + seconds
    while not (value := holds()):
        assert time.monotonic() < end, "what the test waits for did not happen"
        time.sleep(0.005)
    return value
