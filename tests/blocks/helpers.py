"""Models and questions for tests of the dispatcher, with waits that end as soon as what is waited for is there."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from kasasagi.blocks.canonical import ledger_key
from kasasagi.blocks.dispatch.dispatcher import Dispatcher
from kasasagi.blocks.dispatch.pending_requests import Question
from kasasagi.blocks.ledger.store import Ledger
from kasasagi.blocks.models.kinds import ModelConfig, OpenAIModel
from kasasagi.blocks.models.llm import Completion, Engine
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


def until(holds: Callable[[], Any], seconds: float = 60.0) -> Any:
    end = time.monotonic() + seconds
    while not (value := holds()):
        assert time.monotonic() < end, "what the test waits for did not happen"
        time.sleep(0.005)
    return value


def background(work: Callable[[], Any]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def contents(server: FakeServer) -> list[str]:
    return [request["body"]["messages"][-1]["content"] for request in server.requests()]


def errors_of(dispatcher: Dispatcher, asked: Sequence[Question]) -> list[BaseException]:
    """What asking raises, taken in a thread."""
    raised: list[BaseException] = []
    try:
        dispatcher.ask(asked)
    except BaseException as error:
        raised.append(error)
    return raised


Reply = tuple[int, dict[str, str], bytes]


class ScriptedServer:
    """A server that answers each POST by a function of the number of POSTs so far and the request's headers."""

    def __init__(self, answer: Callable[[int, Message], Reply], models: Reply = (404, {}, b"{}")) -> None:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._send(models)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                with server._lock:
                    server.bodies.append(body)
                    number = server.posts
                    server.posts += 1
                    server.times.append(time.monotonic())
                self._send(answer(number, self.headers))

            def _send(self, reply: Reply) -> None:
                status, headers, body = reply
                self.send_response(status)
                for name, value in ({"content-type": "application/json"} | headers).items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: Any) -> None:
                pass

        self.posts = 0
        self.bodies: list[bytes] = []
        self.times: list[float] = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.base_url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def error_body(message: str, code: str | None = None) -> bytes:
    return json.dumps({"error": {"message": message, "code": code, "type": None}}).encode()


def answer_body(text: str) -> bytes:
    message = {"role": "assistant", "content": text}
    return json.dumps({"choices": [{"message": message, "finish_reason": "stop"}], "usage": {}}).encode()
