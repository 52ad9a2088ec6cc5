"""Which redirects of a model server are followed: those that stay at the same server, with the same request."""

from collections.abc import Iterator

import httpx2

from kasasagi.blocks.models.llm import Completion

REDIRECTS = (301, 302, 303, 307, 308)
MOST_REDIRECTS = 5
MOST_CAUSES = 10
UPGRADE = ("http", "https")


class RedirectRefusedError(Exception):
    """A server redirects to where prompts and key must not go, or with another method: both addresses, and a remedy."""


def next_request(request: httpx2.Request, response: httpx2.Response) -> httpx2.Request | None:
    """Return the request to send where a response redirects to; None where it is no redirect.

    The method, the headers and the body stay: a POST that became a GET would lose the prompts and fail oddly.

    Raises:
        RedirectRefusedError: The target is another server (http to https at the usual ports is the same one), or the
            server asks for a GET in place of the POST (303).
    """
    target = target_of(request.url, response.status_code, response.headers.get("location"))
    if target is None:
        return None
    if response.status_code == 303 and request.method not in ("GET", "HEAD"):
        raise RedirectRefusedError(
            f"{origin(request.url)} redirects a {request.method} to a page of {origin(target)} (status 303), which is "
            "no answer; correct base_url"
        )
    headers = [(name, value) for name, value in request.headers.multi_items() if name.lower() != "host"]
    return httpx2.Request(request.method, target, headers=headers, stream=request.stream, extensions=request.extensions)


def target_of(here: httpx2.URL, status: int, location: str | None) -> httpx2.URL | None:
    """Return where a response redirects to; None where it does not.

    Raises:
        RedirectRefusedError: For another server.
    """
    if status not in REDIRECTS or not location:
        return None
    target = here.join(location)
    if not _same_server(here, target):
        raise RedirectRefusedError(
            f"{origin(here)} redirects to another address, {origin(target)}, and neither prompts nor the key "
            "follow there; if you trust it, write it into base_url"
        )
    return target


def refused_redirect(error: BaseException) -> Completion | None:
    """Return the fatal completion for a call that a refused redirect ended; None where something else did."""
    refused = next((one for one in _chain(error) if isinstance(one, RedirectRefusedError)), None)
    return None if refused is None else Completion(error="redirected", detail=str(refused), fatal=True)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and those that it came from."""
    for _ in range(MOST_CAUSES):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__


def origin(url: httpx2.URL) -> str:
    """Return the scheme, host and port of an address: nothing of it that may hold a secret."""
    port = "" if url.port is None else f":{url.port}"
    host = f"[{url.host}]" if ":" in url.host else url.host
    return f"{url.scheme}://{host}{port}"


def _same_server(here: httpx2.URL, there: httpx2.URL) -> bool:
    """Return whether two addresses are one server: equal, or https in place of http, each at its usual port."""
    if here.host != there.host:
        return False
    if here.scheme == there.scheme:
        return here.port == there.port
    return (here.scheme, there.scheme) == UPGRADE and here.port is None and there.port is None
