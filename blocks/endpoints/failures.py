"""What a failed reply of a model server means: it may pass, it will not, or it makes all calls pointless."""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import openai
import orjson

from kasasagi.blocks.endpoints.account_errors import account_reason
from kasasagi.blocks.endpoints.rate_headers import (
    LONGEST_ASKED_WAIT_S,
    is_daily_quota,
    quota_wait,
    retry_after,
    retry_delay,
)
from kasasagi.blocks.models.llm import Completion

TOO_LONG = re.compile(r"context.{0,20}(length|window|size)|maximum.{0,20}(length|tokens)|too (long|many tokens)", re.I)
REFUSED = re.compile(r"content.?(filter|policy|management)|safety|moderation|flagged", re.I)
BY_STATUS = {401: "not_authorised", 402: "out_of_credit", 404: "not_found"}
MAY_PASS = (408, 409, 424, 425)
UNAVAILABLE = (502, 503, 504)
ERROR_WITHIN_BYTES = 4096
ERROR_FIELDS = ("code", "type", "message")
INSTEAD = (
    "Magpie continues a text that stands before the user's words: serve the model where /v1/completions takes such "
    "a text as it is (vllm serve, llama.cpp), use kind: vllm, or load instructions as a dataset"
)


@dataclass(frozen=True, slots=True)
class HTTPReply:
    """What a server answered, read and unpacked.

    Attributes:
        status: The HTTP status.
        headers: The headers, their names in any case.
        content: The body.
        path: The path of the request.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes
    path: str


@dataclass(frozen=True, slots=True)
class HTTPFailure:
    """A failure as a server reports it.

    Attributes:
        status: The HTTP status, or the one that the body names.
        body: The decoded body: an object, a list of them (Gemini) or a text.
        message: The message, where the body has none.
        headers: The reply's headers.
        path: The path of the request.
    """

    status: int
    body: Any
    message: str
    headers: Mapping[str, str]
    path: str


def read_failure(error: openai.APIStatusError) -> Completion:
    """Return what an error status means that the openai client raised."""
    path = error.request.url.path
    return _meaning(HTTPFailure(error.status_code, error.body, error.message, error.response.headers, path))


def read_failed_reply(reply: HTTPReply) -> Completion | None:
    """Return what a reply of an error status means, or one of status 200 whose body reports an error.

    Returns:
        The failure; None for a reply that is none.
    """
    if reply.status < 400:
        return read_error_body(reply.content, reply.headers, reply.path)
    body = _body_of(reply)
    return _meaning(HTTPFailure(reply.status, body, str(body), reply.headers, reply.path))


def server_words(reply: HTTPReply) -> str:
    """Return the code, the type and the message of a reply of an error status."""
    return words_of_error(_body_of(reply))


def _body_of(reply: HTTPReply) -> Any:
    """Return the body of a failed reply: JSON where it is that, else text; its status where it is empty."""
    with suppress(ValueError, RecursionError):
        return json.loads(reply.content)
    return reply.content.decode(errors="replace").strip() or f"Error code: {reply.status}"


def read_error_body(body: bytes, headers: Mapping[str, str], path: str) -> Completion | None:
    """Return the failure that a reply of status 200 reports in its body, as gateways do; None for another reply.

    The status is the one that the error names as its code, else 500.
    """
    if b'"error"' not in body[:ERROR_WITHIN_BYTES]:
        return None
    try:
        reply = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    first = reply[0] if isinstance(reply, list) and reply else reply
    if not isinstance(first, dict) or not first.get("error") or first.get("choices") or first.get("data"):
        return None
    return _meaning(HTTPFailure(_status_in(first["error"]), first, str(first["error"]), headers, path))


def _status_in(error: Any) -> int:
    """Return the HTTP status that an error names as its code; 500 where it names none."""
    named = [error.get(name) for name in ("code", "status", "status_code")] if isinstance(error, dict) else []
    codes = [int(code) for code in named if isinstance(code, int) or (isinstance(code, str) and code.isdecimal())]
    return next((code for code in codes if 400 <= code < 600), 500)


def _meaning(failed: HTTPFailure) -> Completion:
    status, detail = failed.status, words_of_error(failed.body or failed.message).encode(errors="replace").decode()
    if (reason := _fatal_reason(failed, detail)) is not None:
        more = _without_completions(failed.path) if reason == "not_found" else ""
        return Completion(error=reason, detail=f"{status}: {detail}{more}", fatal=True)
    if status == 429:
        found = Completion(error="rate_limited", detail=detail, transient=True, unavailable=True)
        return replace(found, wait_s=requested_wait(found, failed.headers, failed.body))
    if status in MAY_PASS or status >= 500:
        away = status in UNAVAILABLE
        found = Completion(error="server_error", detail=f"{status}: {detail}", transient=True, unavailable=away)
        return replace(found, wait_s=requested_wait(found, failed.headers, failed.body))
    return Completion(error=_lasting_reason(status, detail), detail=f"{status}: {detail}")


def _fatal_reason(failed: HTTPFailure, detail: str) -> str | None:
    """Return why no call to the model can succeed, if a failure says so by its status or its message."""
    status = failed.status
    if status in BY_STATUS:
        return BY_STATUS[status]
    if status in MAY_PASS or status >= 500:
        return None
    reason = account_reason([failed.body, failed.message])
    if status == 429:
        return "out_of_credit" if reason == "out_of_credit" or "insufficient_quota" in detail else None
    return "not_authorised" if reason is None and status == 403 and not REFUSED.search(detail) else reason


def _without_completions(path: str) -> str:
    """Return the remedy for a 404 at a text completion: most likely the server only has chat."""
    if not path.endswith("/completions") or path.endswith("/chat/completions"):
        return ""
    return f"; if the server knows the model, it only answers chats; {INSTEAD}"


def requested_wait(failed: Completion, headers: Mapping[str, str], body: Any = None) -> float | None:
    """Seconds until a server takes calls again, where its headers, its error or its quotas say so."""
    if failed.error == "rate_limited" and is_daily_quota(body):
        return LONGEST_ASKED_WAIT_S
    asked = retry_after(headers)
    if asked is None:
        asked = retry_delay(body)
    return quota_wait(headers) if asked is None and failed.error == "rate_limited" else asked


def _lasting_reason(status: int, detail: str) -> str:
    if status == 413 or TOO_LONG.search(detail):
        return "context_too_long"
    return "refused_by_server" if REFUSED.search(detail) else "rejected_by_server"


def words_of_error(body: Any) -> str:
    """Return the code, type and message of an error; Gemini puts it into a list."""
    first = body[0] if isinstance(body, list) and body else body
    inner = first.get("error", first) if isinstance(first, dict) else first
    known = [str(inner[name]) for name in ERROR_FIELDS if inner.get(name)] if isinstance(inner, dict) else []
    return " ".join(known) or str(body)
