"""The HTTP client of all model servers: no reply may be larger than any answer, whatever a server sends."""

from typing import Any

import httpx2
import openai

LARGEST_REPLY_BYTES = 16 * 2**20
_OF_THE_WIRE = ("content-encoding", "content-length", "transfer-encoding")


class ReplyTooLargeError(Exception):
    """A server sent more than an answer can be; what came is thrown away."""


class BoundedClient(openai.DefaultAioHttpClient):
    """The openai package's client on aiohttp. Raises ReplyTooLargeError beyond LARGEST_REPLY_BYTES, unpacked.

    What is streamed is the caller's to bound.
    """

    async def send(self, request: httpx2.Request, *, stream: bool = False, **options: Any) -> httpx2.Response:
        """Send a request and read the reply, unless it is streamed."""
        response = await super().send(request, stream=True, **options)
        return response if stream else await _whole(response)


async def _whole(response: httpx2.Response) -> httpx2.Response:
    """A reply that has been read."""
    try:
        content = await _read(response)
    except BaseException:
        await response.aclose()
        raise
    return httpx2.Response(
        response.status_code,
        headers=[pair for pair in response.headers.multi_items() if pair[0].lower() not in _OF_THE_WIRE],
        content=content,
        request=response.request,
        extensions=response.extensions,
        history=response.history,
    )


async def _read(response: httpx2.Response) -> bytes:
    pieces: list[bytes] = []
    size = 0
    async for piece in response.aiter_bytes():
        size += len(piece)
        if size > LARGEST_REPLY_BYTES:
            raise ReplyTooLargeError(f"the reply is larger than {LARGEST_REPLY_BYTES // 2**20} MB")
        pieces.append(piece)
    return b"".join(pieces)
