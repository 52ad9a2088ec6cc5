"""The HTTP client of all model servers: what a reply may be, whatever a server sends.

No reply is larger than any answer, none holds the key that was sent, and no redirect leads to another server.
"""

from collections.abc import AsyncIterable
from dataclasses import dataclass
from typing import Any

import httpx2
import openai

from kasasagi.blocks.endpoints.redirects import MOST_REDIRECTS, RedirectRefusedError, next_request, origin
from kasasagi.blocks.loopback import is_loopback
from kasasagi.blocks.models.hidden_keys import KeyMask

LARGEST_REPLY_BYTES = 16 * 2**20
_OF_ONE_REQUEST = frozenset(("accept-encoding", "connection", "content-length", "host", "transfer-encoding"))
"""Headers that belong to one request and one client."""
_OF_THE_WIRE = ("content-encoding", "content-length", "transfer-encoding")


class ReplyTooLargeError(Exception):
    """A server sent more than an answer can be; what came is thrown away."""


class SilentServerError(Exception):
    """A server sent nothing for as long as `first_byte_timeout_s` allows."""


@dataclass(frozen=True, slots=True)
class SentRequest:
    """Where a request went and with which headers; a further request like it differs in nothing but its body."""

    url: str
    headers: tuple[tuple[str, str], ...]


class BoundedClient(openai.DefaultAioHttpClient):
    """The openai package's client on aiohttp.

    Raises ReplyTooLargeError beyond LARGEST_REPLY_BYTES, unpacked, and RedirectRefusedError. What is streamed is the
    caller's to bound and to clear of the key.
    """

    def __init__(self, key: str = "", **options: Any) -> None:
        super().__init__(**{**options, "follow_redirects": False})
        self._mask = KeyMask(key)
        self.sent: dict[str, SentRequest] = {}
        """The last POST to each address."""

    async def send(self, request: httpx2.Request, *, stream: bool = False, **options: Any) -> httpx2.Response:
        """Send a request and read the reply, unless it is streamed."""
        response = await self._send_following_redirects(request, {**options, "follow_redirects": False})
        return response if stream else await self._whole(response)

    async def _send_following_redirects(self, request: httpx2.Request, options: dict[str, Any]) -> httpx2.Response:
        """Send a request, and send it again where the same server redirects it to."""
        if request.method == "POST":
            self.sent[str(request.url)] = _sent(request)
        for _ in range(MOST_REDIRECTS + 1):
            response = await super().send(request, stream=True, **options)
            try:
                further = next_request(request, response)
            except RedirectRefusedError:
                await response.aclose()
                raise
            if further is None:
                return response
            await response.aclose()
            request = further
        raise RedirectRefusedError(f"{origin(request.url)} redirects in a circle; correct base_url")

    async def _whole(self, response: httpx2.Response) -> httpx2.Response:
        """Return a reply that has been read."""
        try:
            content = await read_bounded(response.aiter_bytes())
        except BaseException:
            await response.aclose()
            raise
        headers = [pair for pair in response.headers.multi_items() if pair[0].lower() not in _OF_THE_WIRE]
        return httpx2.Response(
            response.status_code,
            headers=[(name, self._mask.text(value)) for name, value in headers],
            content=self._mask.body(content),
            request=response.request,
            extensions=response.extensions,
            history=response.history,
        )


def _sent(request: httpx2.Request) -> SentRequest:
    repeated = [(name, value) for name, value in request.headers.items() if name.lower() not in _OF_ONE_REQUEST]
    return SentRequest(str(request.url), tuple(repeated))


async def read_bounded(pieces: AsyncIterable[bytes], first: bytes = b"") -> bytes:
    """Join the pieces of a reply as they come, behind a first one. Raises ReplyTooLargeError."""
    content = bytearray(first)
    async for piece in pieces:
        content += piece
        check_size(content)
    return bytes(content)


def check_size(content: bytes | bytearray) -> None:
    """Check what came of a reply so far. Raises ReplyTooLargeError."""
    if len(content) > LARGEST_REPLY_BYTES:
        raise ReplyTooLargeError(f"the reply is larger than {LARGEST_REPLY_BYTES // 2**20} MB")


def without_proxy(server: httpx2.URL) -> dict[str, None]:
    """Return the client's `mounts` that let no proxy come between it and a server on this machine."""
    host = f"[{server.host}]" if ":" in server.host else server.host
    return {f"all://{host}": None} if is_loopback(server.host) else {}
