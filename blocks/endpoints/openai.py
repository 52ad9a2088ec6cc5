"""One OpenAI-compatible server: sends a request, and says in our words what came back."""

import asyncio
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import httpx2
import openai
import orjson

from kasasagi.blocks.endpoints.account_errors import account_reason
from kasasagi.blocks.endpoints.adapted_requests import Adaptation
from kasasagi.blocks.endpoints.bounded_client import BoundedClient
from kasasagi.blocks.endpoints.connection_errors import cannot_connect, connection_words
from kasasagi.blocks.endpoints.content_parts import RefusedError, UnknownPartError, read_message
from kasasagi.blocks.endpoints.event_replies import is_events, joined_events
from kasasagi.blocks.endpoints.rate_headers import quota_wait, retry_after, retry_delay
from kasasagi.blocks.endpoints.redirects import RedirectRefusedError, refused_redirect
from kasasagi.blocks.models.embeddings import read_embedding
from kasasagi.blocks.models.hidden_keys import KeyMask, hidden_in
from kasasagi.blocks.models.kinds import OpenAIModel
from kasasagi.blocks.models.llm import Completion, Request, reject_aborted, token_count

TOO_LONG = re.compile(r"context.{0,20}(length|window|size)|maximum.{0,20}(length|tokens)|too (long|many tokens)", re.I)
REFUSED = re.compile(r"content.?(filter|policy|management)|safety|moderation|flagged", re.I)
BY_STATUS = {401: "not_authorised", 402: "out_of_credit", 404: "not_found"}
MAY_PASS = (408, 409, 424, 425)
UNAVAILABLE = (502, 503, 504)
DETAIL_CHARACTERS = 500
ERROR_WITHIN_BYTES = 4096
MOST_ADAPTATIONS = 6
ERROR_FIELDS = ("code", "type", "message")
NO_KEY = "no-key-needed"
QUEUEING = "vllm"
INSTEAD = (
    "Magpie continues a text that stands before the user's words: serve the model where /v1/completions takes such "
    "a text as it is (vllm serve, llama.cpp), use kind: vllm, or load instructions as a dataset"
)
WAITING = re.compile(r"^vllm:num_requests_waiting(?:\{[^}]*\})? ([0-9.]+(?:[eE][+-]?[0-9]+)?)\s*$", re.M)


class OpenAIEndpoint:
    """An OpenAI-compatible server and one model on it; lives in the dispatcher's event loop.

    queues says, once models() was called, whether it is one that lets calls wait instead of refusing them (vLLM).
    """

    def __init__(self, config: OpenAIModel, client: openai.AsyncOpenAI) -> None:
        self.config = config
        self.queues = False
        self.adaptation = Adaptation()
        self._client = client

    @classmethod
    def connect(cls, config: OpenAIModel, address: str) -> "OpenAIEndpoint":
        """A client for a server of the model, its key read from the environment. Must be called in the event loop."""
        variable = config.key_variable()
        silence = config.first_byte_timeout_s or config.timeout_s
        timeout = httpx2.Timeout(config.timeout_s, connect=config.connect_timeout_s, read=silence, pool=None)
        # The lane limits the calls in flight. For aiohttp 0 means no limit, and None would mean its own of 100.
        limits = httpx2.Limits(max_connections=0, max_keepalive_connections=None)
        key = os.environ.get(variable or "", "").strip()
        client = openai.AsyncOpenAI(
            base_url=address,
            api_key=key or NO_KEY,
            max_retries=0,
            timeout=timeout,
            http_client=BoundedClient(key, timeout=timeout, limits=limits),
        )
        return cls(config, client)

    @property
    def client(self) -> openai.AsyncOpenAI:
        """The client behind it, for what is not a completion."""
        return self._client

    async def models(self) -> list[str] | None:
        """Names of the server's models; None where it does not say. Raises openai.APIError, RedirectRefusedError."""
        try:
            response = await self._client.get("/models", cast_to=httpx2.Response, options={"timeout": 15.0})
            listed = orjson.loads(response.content)["data"]
            self.queues = any(model.get("owned_by") == QUEUEING for model in listed)
            return [str(model["id"]) for model in listed]
        except (openai.NotFoundError, orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
            return None
        except openai.APIConnectionError as error:
            if isinstance(error.__cause__, RedirectRefusedError):
                raise error.__cause__ from error
            raise
        except openai.APIStatusError as error:
            if error.status_code in (400, 405, 501) and not read_failure(error).fatal:
                return None
            raise

    async def waiting(self) -> int | None:
        """How many calls wait at a vLLM server; None where it does not say."""
        root = str(self._client.base_url).rstrip("/").removesuffix("/v1")
        try:
            response = await self._client.get(f"{root}/metrics", cast_to=httpx2.Response, options={"timeout": 5.0})
        except openai.APIError:
            return None
        return read_waiting(response.text)

    async def complete(self, request: Request, read: Callable[[bytes], Completion] | None = None) -> Completion:
        """Answer one request; whatever goes wrong is a Completion that says so, never an exception.

        read, where given, reads the reply in place of what a request of its kind calls for.
        """
        try:
            response = await self._post(request)
            completion = self._completion(request, response, read)
        except openai.APIStatusError as error:
            completion = read_failure(error)
        except TimeoutError:
            completion = timeout_failure(f"no complete reply within {self.config.timeout_s:g} s")
        except Exception as error:
            completion = cannot_be_sent(request) or self._without_reply(error)
        return self.mask_keys(completion)

    async def _post(self, request: Request) -> httpx2.Response:
        """Send a request; once more, and differently, where the model says which parameter it does not take."""
        for _ in range(MOST_ADAPTATIONS):
            path, body = self._path_and_body(request)
            body = self.adaptation.apply(body)
            try:
                async with asyncio.timeout(self.config.timeout_s):
                    return await self._client.post(path, cast_to=httpx2.Response, body=body)
            except openai.BadRequestError as error:
                if not self.adaptation.learn(error.status_code, _server_words(error), body):
                    raise
        raise TimeoutError

    def _completion(
        self, request: Request, response: httpx2.Response, read: Callable[[bytes], Completion] | None
    ) -> Completion:
        """What a reply of status 200 says: an answer, or a failure that came with the wrong status."""
        content = joined_events(response.content) if is_events(response.content) else response.content
        failed = read_error_body(content, response.headers, response.request.url.path)
        found = failed or (self._read(request, content) if read is None else read(content))
        return found if found.wait_s is not None else replace(found, wait_s=quota_wait(response.headers))

    def _path_and_body(self, request: Request) -> tuple[str, dict[str, Any]]:
        """The path and the body that a request is sent with."""
        path = "/embeddings" if "input" in request else "/chat/completions" if "messages" in request else "/completions"
        return path, {"model": self.config.model, **request}

    def _read(self, request: Request, reply: bytes) -> Completion:
        return (read_embedding if "input" in request else read_reply)(reply)

    def _without_reply(self, error: Exception) -> Completion:
        if (refused := refused_redirect(error)) is not None:
            return refused
        cause = error.__cause__ or error
        # A connection that is refused or reset also comes as a ConnectTimeout.
        if isinstance(cause, httpx2.TimeoutException) and not isinstance(cause, httpx2.ConnectTimeout):
            silence = self.config.first_byte_timeout_s or self.config.timeout_s
            return timeout_failure(f"no reply within {silence:g} s")
        words = connection_words(error)
        return Completion(error="connection", detail=words, transient=True, unavailable=cannot_connect(error))

    def mask_keys(self, completion: Completion) -> Completion:
        """Return a completion in which the key, if the server repeats it anywhere, is not readable."""
        clean = hidden_in(completion, KeyMask(self._client.api_key).text)
        return replace(clean, detail=self.without_key(clean.detail))

    def without_key(self, detail: str | None) -> str | None:
        """A detail, shortened, in which the key, if it stands there, is not readable."""
        # Some servers repeat the key that they refuse; it must not reach a log or a table.
        return shorten(detail.replace(self._client.api_key, "***")) if detail else detail

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def timeout_failure(detail: str) -> Completion:
    """A call without an answer in time, which may have one another time."""
    return Completion(error="time_out", detail=detail, transient=True)


def cannot_be_sent(request: Request) -> Completion | None:
    """The lasting failure of a request that JSON cannot write, such as one with a lone surrogate; None for another."""
    try:
        json.dumps(dict(request), allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError) as error:
        return Completion(error="cannot_be_sent", detail=f"the request cannot be written as JSON: {error}")
    return None


def read_waiting(metrics: str) -> int | None:
    """How many calls wait by a vLLM server's gauges, all its engines together; None where they do not say."""
    try:
        counts = [float(count) for count in WAITING.findall(metrics)]
        return int(sum(counts)) if counts else None
    except (ValueError, OverflowError):
        return None


def read_reply(body: bytes) -> Completion:
    """The completion in a server's reply; a body that is cut or no completion at all is a passing error.

    So is a text whose making broke off, though it came with status 200.
    """
    try:
        reply = _parse_json(body)
        usage = reply.get("usage") or {}
        tokens = token_count(usage.get("prompt_tokens")), token_count(usage.get("completion_tokens"))
        if not reply["choices"]:
            return _with_tokens(
                Completion(error="malformed_reply", detail="the reply has no choices", transient=True), tokens
            )
        return _read_choice(reply["choices"][0], tokens)
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        detail = f"{error}: {body[: 4 * DETAIL_CHARACTERS].decode(errors='replace')}"
        return Completion(error="malformed_reply", detail=detail, transient=True)


def _parse_json(body: bytes) -> Any:
    """The JSON of a reply, read by the standard library where orjson refuses half a character or a NaN in it."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return json.loads(body)


def _read_choice(choice: Mapping[str, Any], tokens: tuple[int, int]) -> Completion:
    """The completion in one choice of a reply. Raises what a choice of another shape raises."""
    message = choice.get("message") or {}
    try:
        text, reasoning = read_message(message) if message else (choice.get("text") or "", None)
        for one in (text, reasoning or ""):
            one.encode()
    except UnknownPartError as error:
        return _with_tokens(Completion(error="unknown_content", detail=str(error)), tokens)
    except RefusedError as error:
        return _with_tokens(Completion(error="refusal", detail=f"the model refuses: {error}"), tokens)
    except UnicodeEncodeError:
        words = "the answer holds half a character (a lone surrogate)"
        return _with_tokens(Completion(error="lone_surrogate", detail=words), tokens)
    made = Completion(
        text=text,
        reasoning=reasoning,
        finish_reason=_optional_text(choice.get("finish_reason")),
        stop_reason=_optional_text(choice.get("stop_reason")),
        prompt_tokens=tokens[0],
        completion_tokens=tokens[1],
    )
    failure = choice.get("error")
    return reject_aborted(made, (_words_of(failure) or str(failure)) if failure else "")


def _with_tokens(completion: Completion, tokens: tuple[int, int]) -> Completion:
    """A reply that is no answer, with the tokens of prompt and completion that the server counts for it."""
    return replace(completion, prompt_tokens=tokens[0], completion_tokens=tokens[1])


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
    """What an error status means: may pass, will not pass, or makes all calls pointless."""
    path = error.request.url.path
    return _meaning(HTTPFailure(error.status_code, error.body, error.message, error.response.headers, path))


def read_error_body(body: bytes, headers: Mapping[str, str], path: str) -> Completion | None:
    """The failure that a reply of status 200 reports in its body, as gateways do; None for another reply.

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
    """The HTTP status that an error names as its code; 500 where it names none."""
    named = [error.get(name) for name in ("code", "status", "status_code")] if isinstance(error, dict) else []
    codes = [int(code) for code in named if isinstance(code, int) or (isinstance(code, str) and code.isdecimal())]
    return next((code for code in codes if 400 <= code < 600), 500)


def _meaning(failed: HTTPFailure) -> Completion:
    status, detail = failed.status, _words_of(failed.body or failed.message).encode(errors="replace").decode()
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
    """Why no call to the model can succeed, if a failure says so by its status or its message."""
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
    return f"; if the server knows the model, it has chat alone; {INSTEAD}"


def requested_wait(failed: Completion, headers: Mapping[str, str], body: Any = None) -> float | None:
    """Seconds until a server takes calls again, where its headers, its error or its quotas say so."""
    asked = retry_after(headers)
    if asked is None:
        asked = retry_delay(body)
    return quota_wait(headers) if asked is None and failed.error == "rate_limited" else asked


def _lasting_reason(status: int, detail: str) -> str:
    if status == 413 or TOO_LONG.search(detail):
        return "context_too_long"
    return "refused_by_server" if REFUSED.search(detail) else "rejected_by_server"


def _server_words(error: openai.APIStatusError) -> str:
    return _words_of(error.body or error.message)


def _words_of(body: Any) -> str:
    """The code, type and message of an error; Gemini puts it into a list."""
    first = body[0] if isinstance(body, list) and body else body
    inner = first.get("error", first) if isinstance(first, dict) else first
    if isinstance(inner, dict):
        return " ".join(str(inner[name]) for name in ERROR_FIELDS if inner.get(name))
    return str(body)


def _optional_text(value: object) -> str | None:
    return None if value is None else _text(value)


def _text(value: object) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    text.encode()  # a lone surrogate cannot be kept: UnicodeEncodeError is a ValueError, so the reply is malformed
    return text


def shorten(text: str) -> str:
    """Shorten a text to the length that a detail may have."""
    return text if len(text) <= DETAIL_CHARACTERS else text[:DETAIL_CHARACTERS] + "…"
