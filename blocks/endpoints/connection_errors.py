"""Name the cause of a call that got no reply: refused, unknown host, certificate, reset, no free file handle."""

import errno
import socket
import ssl
from collections.abc import Iterator, Mapping

CONNECT_TIMEOUT = "ConnectionTimeoutError"
"""aiohttp's, by its name: aiohttp is imported together with its client only."""
NO_CONNECTION = (errno.EMFILE, errno.ENFILE, errno.ENETUNREACH, errno.EHOSTUNREACH)
BY_NUMBER: Mapping[int, str] = {
    errno.ECONNREFUSED: "connection refused; start the server or correct base_url",
    errno.ECONNRESET: "connection reset by the server",
    errno.EPIPE: "connection reset by the server",
    errno.EMFILE: "too many open files; raise the limit with ulimit -n or lower max_concurrency",
    errno.ENFILE: "too many open files on this machine; lower max_concurrency",
    errno.ENETUNREACH: "no route to the host; check the network and base_url",
    errno.EHOSTUNREACH: "no route to the host; check the network and base_url",
}
"""By the number of the operating system's error."""


def connection_words(error: BaseException) -> str:
    """Return what kept a call from getting a reply, as a phrase with its remedy where there is one.

    The HTTP client raises a time-out for every connection that fails, so the chain of causes is searched for the
    exception of the operating system, of the resolver or of TLS.

    Args:
        error: The exception of the HTTP client, with its causes.
    """
    chain = list(_causes(error))
    for cause in chain:
        if (words := _words(cause)) is not None:
            return words
    last = chain[-1]
    return f"{type(last).__name__}: {last}".rstrip(": ")


def cannot_connect(error: BaseException) -> bool:
    """Return whether no connection came about, so that the question cannot be the cause."""
    causes = list(_causes(error))
    return any(
        isinstance(one, socket.gaierror | ssl.SSLError | ConnectionRefusedError)
        or type(one).__name__ == CONNECT_TIMEOUT
        or (isinstance(one, OSError) and one.errno in NO_CONNECTION)
        for one in causes
    )


def _words(cause: BaseException) -> str | None:
    """Return the phrase for one cause; None where the next one may tell more."""
    # aiohttp's exceptions are subclasses of these without their attributes; what they were raised from has them.
    if isinstance(cause, ssl.SSLCertVerificationError) and hasattr(cause, "verify_message"):
        reason = cause.verify_message or "certificate verify failed"
        return f"its TLS certificate is not trusted ({reason}); set SSL_CERT_FILE to the file of its authority"
    if isinstance(cause, ssl.SSLError) and hasattr(cause, "reason"):
        return f"no TLS connection ({cause.reason or cause}); check https:// against http:// in base_url"
    if isinstance(cause, socket.gaierror):
        return f"unknown host ({cause.strerror or cause}); correct base_url"
    if isinstance(cause, ConnectionResetError | BrokenPipeError) and cause.errno is None:
        return BY_NUMBER[errno.ECONNRESET]
    if type(cause).__name__ == CONNECT_TIMEOUT:
        return "no connection in time (connect_timeout_s); check base_url and the network"
    return BY_NUMBER.get(cause.errno or 0) if isinstance(cause, OSError) else None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and what it was raised from, innermost last."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__
