"""Servers that break off, half close, flood or pile up replies: a failure in time, in little memory, and no mix-up."""

import asyncio
import gzip
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from kasasagi.blocks.endpoints import bounded_client
from kasasagi.blocks.endpoints.openai import OpenAIEndpoint
from kasasagi.blocks.models.llm import Completion
from tests.blocks.helpers import answer_body, model

Behaviour = Callable[[socket.socket, threading.Event], None]
NEVER_S = 60.0


def asked_of(connection: socket.socket) -> str | None:
    """What the next request on a connection asks; None once the client has closed it."""
    data = b""
    while b"\r\n\r\n" not in data:
        if not (piece := connection.recv(65_536)):
            return None
        data += piece
    head, body = data.split(b"\r\n\r\n", 1)
    lines = [line.split(b":", 1) for line in head.lower().split(b"\r\n")[1:]]
    length = next(int(line[1]) for line in lines if line[0] == b"content-length")
    while len(body) < length:
        body += connection.recv(65_536)
    return str(json.loads(body)["messages"][-1]["content"])


def reply(body: bytes, headers: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\n%scontent-length: %d\r\n\r\n%s" % (headers, len(body), body)


def closes_at_once(connection: socket.socket, over: threading.Event) -> None:
    connection.close()


def half_closes_before_it_reads(connection: socket.socket, over: threading.Event) -> None:
    connection.shutdown(socket.SHUT_WR)
    over.wait(NEVER_S)


def half_closes_without_an_answer(connection: socket.socket, over: threading.Event) -> None:
    asked_of(connection)
    connection.shutdown(socket.SHUT_WR)
    over.wait(NEVER_S)


def half_closes_within_its_answer(connection: socket.socket, over: threading.Event) -> None:
    asked_of(connection)
    connection.sendall(reply(answer_body("cut"))[:-5])
    connection.shutdown(socket.SHUT_WR)
    over.wait(NEVER_S)


def never_reads(connection: socket.socket, over: threading.Event) -> None:
    over.wait(NEVER_S)


def goes_on_with_interim_answers(connection: socket.socket, over: threading.Event) -> None:
    asked_of(connection)
    while not over.wait(0.01):
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")


def goes_on_with_headers(connection: socket.socket, over: threading.Event) -> None:
    asked_of(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while not over.is_set():
        connection.sendall(b"x-more: %s\r\n" % (b"a" * 1_000))


def goes_on_with_a_body(connection: socket.socket, over: threading.Event) -> None:
    asked_of(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    while not over.is_set():
        connection.sendall(b"10000\r\n%s\r\n" % (b"a" * 65_536))


def sends_what_unpacks_to_much(connection: socket.socket, over: threading.Event) -> None:
    asked_of(connection)
    connection.sendall(reply(gzip.compress(b" " * 2**22), b"content-encoding: gzip\r\n"))
    over.wait(NEVER_S)


def sends_elsewhere_for_ever(connection: socket.socket, over: threading.Event) -> None:
    while asked_of(connection) is not None:
        connection.sendall(b"HTTP/1.1 307 Elsewhere\r\nlocation: /v1/chat/completions\r\ncontent-length: 0\r\n\r\n")


def piles_up_replies(connection: socket.socket, over: threading.Event) -> None:
    while (asked := asked_of(connection)) is not None:
        connection.sendall(reply(answer_body(f"to {asked}")) + reply(answer_body("to nobody")))


def packs_its_answers(connection: socket.socket, over: threading.Event) -> None:
    while (asked := asked_of(connection)) is not None:
        connection.sendall(reply(gzip.compress(answer_body(f"to {asked}")), b"content-encoding: gzip\r\n"))


@contextmanager
def behaving(behaviour: Behaviour) -> Iterator[str]:
    """A server on a free port that does this with every connection; gives its address."""
    over = threading.Event()

    def with_one(connection: socket.socket) -> None:
        with suppress(OSError), connection:
            behaviour(connection, over)

    def serve(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=with_one, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        finally:
            over.set()


def answers(behaviour: Behaviour, count: int = 2, timeout_s: float = 1.0) -> list[Completion]:
    """The outcome of some questions, one after the other."""

    async def asked(address: str) -> list[Completion]:
        endpoint = OpenAIEndpoint.connect(model(address, timeout_s=timeout_s), address)
        messages = [[{"role": "user", "content": f"question {number}"}] for number in range(count)]
        found = [await endpoint.complete({"messages": one}) for one in messages]
        await endpoint.close()
        return found

    with behaving(behaviour) as address:
        return asyncio.run(asked(address))


@pytest.mark.parametrize(
    "behaviour",
    [
        closes_at_once,
        half_closes_before_it_reads,
        half_closes_without_an_answer,
        half_closes_within_its_answer,
        never_reads,
        goes_on_with_interim_answers,
        goes_on_with_headers,
        goes_on_with_a_body,
        sends_what_unpacks_to_much,
    ],
)
def test_each_ends_in_a_passing_failure(behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_client, "LARGEST_REPLY_BYTES", 2**20)
    for one in answers(behaviour):
        assert (one.text, one.transient, one.fatal) == ("", True, False)
        assert one.error in ("connection", "time_out")


def test_a_server_that_redirects_in_a_circle_is_unusable() -> None:
    for one in answers(sends_elsewhere_for_ever):
        assert (one.error, one.fatal) == ("redirected", True)
        assert "in a circle" in str(one.detail)


@pytest.mark.parametrize("behaviour", [goes_on_with_a_body, sends_what_unpacks_to_much])
def test_a_reply_is_read_no_further_than_an_answer_can_be(
    behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_client, "LARGEST_REPLY_BYTES", 2**20)
    (one,) = answers(behaviour, 1, timeout_s=60.0)
    assert (one.error, one.detail) == ("connection", "ReplyTooLargeError: the reply is larger than 1 MB")


@pytest.mark.parametrize("behaviour", [piles_up_replies, packs_its_answers])
def test_each_answer_belongs_to_its_question(behaviour: Behaviour) -> None:
    assert [one.text for one in answers(behaviour, 5, timeout_s=60.0)] == [f"to question {n}" for n in range(5)]
