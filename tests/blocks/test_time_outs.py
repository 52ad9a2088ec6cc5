"""Time-outs of a call: for a first byte and for the whole reply, each a failure that may pass."""

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.blocks.helpers import dispatching, model, questions

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n"
LISTED = b'{"data": [{"id": "small"}]}'


class TricklingServer:
    """A server that knows its model, and answers a call with a space now and then, without end."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.base_url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"
        threading.Thread(target=self._serve, daemon=True).start()

    def stop(self) -> None:
        self._over.set()
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            if connection.recv(65536).startswith(b"GET"):
                head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(LISTED)}\r\nConnection: close\r\n\r\n"
                connection.sendall(head.encode() + LISTED)
                return
            connection.sendall(HEAD)
            while not self._over.wait(self._every_s):
                connection.sendall(b" ")


@pytest.fixture(params=[0.05, 60.0], ids=["trickles", "is silent"])
def trickling(request: pytest.FixtureRequest) -> Iterator[TricklingServer]:
    server = TricklingServer(request.param)
    yield server
    server.stop()


def test_a_reply_that_never_ends_is_given_up(trickling: TricklingServer, tmp_path: Path) -> None:
    config = model(trickling.base_url, timeout_s=0.6, max_retries=0)
    with dispatching(tmp_path, {"small": config}) as dispatcher:
        [answer] = dispatcher.ask(questions(1))
    assert (answer.error, answer.transient) == ("time_out", True)
    assert "0.6 s" in str(answer.detail)


def test_silence_is_given_up_sooner(tmp_path: Path) -> None:
    server = TricklingServer(60.0)
    config = model(server.base_url, timeout_s=300, first_byte_timeout_s=0.4, max_retries=0)
    with dispatching(tmp_path, {"small": config}) as dispatcher:
        [answer] = dispatcher.ask(questions(1))
    server.stop()
    assert (answer.error, answer.transient) == ("time_out", True)
    assert "0.4 s" in str(answer.detail)
