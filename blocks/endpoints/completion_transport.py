"""The quick road to a model server: a body sent by aiohttp to where the openai client sent the first of its kind.

The openai package builds a request several times more slowly than aiohttp sends it. So it decides once, for the first
request to a path, about address, headers and authentication; those that follow differ in nothing but their bodies.
"""

from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx2
from multidict import CIMultiDict
from yarl import URL

from kasasagi.blocks.endpoints.bounded_client import SentRequest, SilentServerError, check_size, read_bounded
from kasasagi.blocks.endpoints.failures import HTTPReply
from kasasagi.blocks.endpoints.redirects import REDIRECTS
from kasasagi.blocks.loopback import is_loopback


class CompletionTransport:
    """Connections of our own to one server; lives in an event loop."""

    def __init__(self, server: httpx2.URL, timeout: httpx2.Timeout, total_s: float) -> None:
        """Open no connection yet.

        Args:
            server: An address of the server.
            timeout: Seconds to connect and seconds of silence.
            total_s: Seconds for a whole call.
        """
        self._proxy = proxy_of(server)
        connector = aiohttp.TCPConnector(limit=0, ssl=httpx2.create_ssl_context())
        silence = timeout.read if timeout.read and timeout.read < total_s else None  # each timer costs CPU time
        limits = aiohttp.ClientTimeout(total=total_s, sock_connect=timeout.connect, sock_read=silence)
        self._session = aiohttp.ClientSession(
            connector=connector, timeout=limits, proxy=self._proxy, cookie_jar=aiohttp.DummyCookieJar()
        )
        self._prepared: dict[str, tuple[SentRequest, URL, CIMultiDict[str]]] = {}

    async def post(self, like: SentRequest, body: bytes) -> HTTPReply | None:
        """Send a body to where an earlier request went; return None for a redirect, which the openai client follows.

        Raises:
            TimeoutError: The whole call took too long.
            SilentServerError: Nothing came for too long.
            ReplyTooLargeError: The reply is larger than any answer.
            httpx2.ConnectTimeout: No connection came about in time.
            aiohttp.ClientError: Any other failure of the connection.
        """
        url, headers = self._prepare(like)
        try:
            async with self._session.post(
                url, data=aiohttp.BytesPayload(body), headers=headers, allow_redirects=False
            ) as response:
                if response.status in REDIRECTS:
                    return None
                content = await _read_whole(response.content)
                return HTTPReply(response.status, response.headers, content, response.url.path)
        except aiohttp.ConnectionTimeoutError as error:
            raise httpx2.ConnectTimeout(str(error)) from error
        except aiohttp.SocketTimeoutError as error:
            raise SilentServerError from error

    def _prepare(self, like: SentRequest) -> tuple[URL, CIMultiDict[str]]:
        """Return the address and the headers of an earlier request as aiohttp uses them."""
        known = self._prepared.get(like.url)
        if known is None or known[0] is not like:
            known = self._prepared[like.url] = like, URL(like.url), CIMultiDict(like.headers)
        return known[1:]

    @property
    def is_usable(self) -> bool:
        """Whether aiohttp can use the proxy that the environment names: it knows no SOCKS."""
        return self._proxy is None or self._proxy.startswith("http")

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()


async def _read_whole(stream: aiohttp.StreamReader) -> bytes:
    """Return a reply; most come in one piece. Raises ReplyTooLargeError."""
    first = await stream.readany()
    check_size(first)
    return first if stream.at_eof() else await read_bounded(stream.iter_any(), first)


def proxy_of(server: httpx2.URL) -> str | None:
    """Return the proxy that the environment names for a server; None where there is none, and for this machine."""
    if is_loopback(server.host):
        return None
    proxies = getproxies()
    proxy = proxies.get(server.scheme) or proxies.get("all")
    return proxy if proxy and not proxy_bypass(server.host) else None
