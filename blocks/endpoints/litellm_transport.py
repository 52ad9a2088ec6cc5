"""LiteLLM's connections, which follow no redirect elsewhere: prompts and keys stay where the recipe sends them."""

from typing import Any

import httpx
import httpx2
from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler

from kasasagi.blocks.endpoints.redirects import target_of


class NoRedirectTransport(httpx.AsyncBaseTransport):
    """A transport that ends a call whose server redirects it to another one."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request. Raises RedirectRefusedError."""
        response = await self._inner.handle_async_request(request)
        target_of(httpx2.URL(str(request.url)), response.status_code, response.headers.get("location"))
        return response

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()


def refuse_foreign_redirects() -> None:
    """Make all clients that LiteLLM creates from now on use such a transport; it creates them in one place."""
    made = AsyncHTTPHandler._create_async_transport

    def create(ssl_context: Any = None, ssl_verify: Any = None, **more: Any) -> NoRedirectTransport:
        verify = ssl_context if ssl_context is not None else (True if ssl_verify is None else ssl_verify)
        inner = made(ssl_context=ssl_context, ssl_verify=ssl_verify, **more)
        return NoRedirectTransport(httpx.AsyncHTTPTransport(verify=verify) if inner is None else inner)

    AsyncHTTPHandler._create_async_transport = staticmethod(create)
