"""One OpenAI-compatible server: sends a request, and says in our words what came back."""

import asyncio
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx2
import openai
import orjson

from kasasagi.blocks.endpoints.adapted_requests import Adaptation
from kasasagi.blocks.endpoints.bounded_client import BoundedClient, SilentServerError, without_proxy
from kasasagi.blocks.endpoints.connection_errors import cannot_connect, connection_words
from kasasagi.blocks.endpoints.content_parts import RefusedError, UnknownPartError, read_message
from kasasagi.blocks.endpoints.event_replies import is_events, joined_events
from kasasagi.blocks.endpoints.failures import HTTPReply, read_failed_reply, read_failure, server_words, words_of_error
from kasasagi.blocks.endpoints.rate_headers import quota_wait
from kasasagi.blocks.endpoints.redirects import RedirectRefusedError, refused_redirect
from kasasagi.blocks.models.embeddings import read_embedding
from kasasagi.blocks.models.hidden_keys import KeyMask, hidden_in
from kasasagi.blocks.models.kinds import OpenAIModel
from kasasagi.blocks.models.llm import Completion, Request, reject_aborted, token_count
from kasasagi.blocks.models.logprobs import read_numbers

if TYPE_CHECKING:
    from kasasagi.blocks.endpoints.completion_transport import CompletionTransport

DETAIL_CHARACTERS = 500
MOST_ADAPTATIONS = 6
NO_KEY = "no-key-needed"
QUEUEING = "vllm"
UNREADABLE = (LookupError, TypeError, ValueError, AttributeError, RecursionError)
"""What reading a reply of another shape raises."""
WAITING = re.compile(r"^vllm:num_requests_waiting(?:\{[^}]*\})? ([0-9.]+(?:[eE][+-]?[0-9]+)?)\s*$", re.M)


class OpenAIEndpoint:
    """An OpenAI-compatible server and one model on it; lives in the dispatcher's event loop.

    queues says, once models() was called, whether it is one that lets calls wait instead of refusing them (vLLM).
    """

    def __init__(self, config: OpenAIModel, client: openai.AsyncOpenAI, http: BoundedClient) -> None:
        self.config = config
        self.queues = False
        self.adaptation = Adaptation()
        self._client = client
        self._http = http
        self._mask = KeyMask(client.api_key)
        self._addresses: dict[str, str] = {}
        self._transport: CompletionTransport | None = None

    @classmethod
    def connect(cls, config: OpenAIModel, address: str) -> "OpenAIEndpoint":
        """Return a client for a server of the model, its key read from the environment.

        Must be called in the event loop.
        """
        variable = config.key_variable()
        silence = config.first_byte_timeout_s or config.timeout_s
        timeout = httpx2.Timeout(config.timeout_s, connect=config.connect_timeout_s, read=silence, pool=None)
        # The lane limits the calls in flight. For aiohttp 0 means no limit, and None would mean its own of 100.
        limits = httpx2.Limits(max_connections=0, max_keepalive_connections=None)
        key = os.environ.get(variable or "", "").strip()
        http = BoundedClient(key, timeout=timeout, limits=limits, mounts=without_proxy(httpx2.URL(address)))
        client = openai.AsyncOpenAI(
            base_url=address, api_key=key or NO_KEY, max_retries=0, timeout=timeout, http_client=http
        )
        return cls(config, client, http)

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

    async def queue_length(self) -> int | None:
        """Return how many calls wait at a vLLM server; None where it does not say."""
        root = str(self._client.base_url).rstrip("/").removesuffix("/v1")
        try:
            response = await self._client.get(f"{root}/metrics", cast_to=httpx2.Response, options={"timeout": 5.0})
        except openai.APIError:
            return None
        return read_waiting(response.text)

    async def complete(self, request: Request, read: Callable[[bytes], Completion] | None = None) -> Completion:
        """Answer one request. A failure is returned as a Completion with its reason, never raised.

        Args:
            request: The request.
            read: Reads the reply; default: the reader for this kind of request.
        """
        try:
            completion = self._completion(request, await self._post(request), read)
        except TimeoutError:
            completion = timeout_failure(f"no complete reply within {self.config.timeout_s:g} s")
        except Exception as error:
            completion = cannot_be_sent(request) or self._without_reply(error)
        return self.mask_keys(completion)

    async def _post(self, request: Request) -> HTTPReply:
        """Send a request; once more, and differently, where the model says which parameter it does not take."""
        for _ in range(MOST_ADAPTATIONS):
            path, body = self._path_and_body(request)
            body = self.adaptation.apply(body)
            reply = await self._send_quickly(path, body) or await self._send(path, body)
            if reply.status < 400 or not self.adaptation.learn(reply.status, server_words(reply), body):
                return reply
        raise TimeoutError

    async def _send(self, path: str, body: Mapping[str, Any]) -> HTTPReply:
        """Send a body with the openai client."""
        async with asyncio.timeout(self.config.timeout_s):
            try:
                response = await self._client.post(path, cast_to=httpx2.Response, body=body)
            except openai.APIStatusError as error:
                response = error.response
        return HTTPReply(response.status_code, response.headers, response.content, response.request.url.path)

    async def _send_quickly(self, path: str, body: Mapping[str, Any]) -> HTTPReply | None:
        """Send a body like an earlier one of its path; return None for the first one, and for a redirect."""
        like = self._http.sent.get(self._address(path))
        if like is None or not (transport := self._quick_transport()).is_usable:
            return None
        reply = await transport.post(like, _as_json(body))
        if reply is None or not self._mask.is_needed:
            return reply
        return replace(reply, content=self._mask.body(reply.content))

    def _address(self, path: str) -> str:
        # The package builds its base_url again for each use.
        return self._addresses.get(path) or self._addresses.setdefault(
            path, f"{self._client.base_url}{path.lstrip('/')}"
        )

    def _quick_transport(self) -> "CompletionTransport":
        if self._transport is None:
            from kasasagi.blocks.endpoints.completion_transport import CompletionTransport

            self._transport = CompletionTransport(self._client.base_url, self._http.timeout, self.config.timeout_s)
        return self._transport

    def _completion(self, request: Request, reply: HTTPReply, read: Callable[[bytes], Completion] | None) -> Completion:
        """Return what a reply says: an answer, or a failure, though it may have come with status 200."""
        if is_events(reply.content):
            try:
                reply = replace(reply, content=joined_events(reply.content))
            except (ValueError, TypeError, AttributeError) as error:
                return malformed(error, reply.content)
        found = read_failed_reply(reply) or (
            self._read(request, reply.content) if read is None else read(reply.content)
        )
        wait_s = quota_wait(reply.headers) if found.wait_s is None else None
        return found if wait_s is None else replace(found, wait_s=wait_s)

    def _path_and_body(self, request: Request) -> tuple[str, dict[str, Any]]:
        """Return the path and the body that a request is sent with."""
        path = "/embeddings" if "input" in request else "/chat/completions" if "messages" in request else "/completions"
        return path, {"model": self.config.model, **request}

    def _read(self, request: Request, reply: bytes) -> Completion:
        return (read_embedding if "input" in request else read_reply)(reply)

    def _without_reply(self, error: Exception) -> Completion:
        if (refused := refused_redirect(error)) is not None:
            return refused
        cause = error.__cause__ or error
        # A connection that is refused or reset also comes as a ConnectTimeout.
        waited = isinstance(cause, httpx2.TimeoutException) and not isinstance(cause, httpx2.ConnectTimeout)
        if waited or isinstance(error, SilentServerError):
            silence = self.config.first_byte_timeout_s or self.config.timeout_s
            return timeout_failure(f"no reply within {silence:g} s")
        words = connection_words(error)
        return Completion(error="connection", detail=words, transient=True, unavailable=cannot_connect(error))

    def mask_keys(self, completion: Completion) -> Completion:
        """Return a completion in which the key, if the server repeats it anywhere, is not readable."""
        clean = hidden_in(completion, self._mask.text) if self._mask.is_needed else completion
        return replace(clean, detail=self.without_key(clean.detail)) if clean.detail else clean

    def without_key(self, detail: str | None) -> str | None:
        """Return a detail, shortened, in which the key, if it stands there, is not readable."""
        # Some servers repeat the key that they refuse; it must not reach a log or a table.
        return shorten(detail.replace(self._client.api_key, "***")) if detail else detail

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()
        if self._transport is not None:
            await self._transport.close()


def _as_json(body: Mapping[str, Any]) -> bytes:
    """Return a body as JSON.

    Raises:
        ValueError: For what JSON cannot write: NaN, infinity, half a character.
    """
    try:
        data = orjson.dumps(body)
    except orjson.JSONEncodeError:
        data = b"null"
    # orjson writes null for NaN and refuses large numbers; the standard library tells.
    return data if b"null" not in data else json.dumps(body, allow_nan=False, ensure_ascii=False).encode()


def timeout_failure(detail: str) -> Completion:
    """Return a call without an answer in time, which may have one another time."""
    return Completion(error="time_out", detail=detail, transient=True)


def cannot_be_sent(request: Request) -> Completion | None:
    """Return the lasting failure of a request that JSON cannot write, such as one with a lone surrogate; None for
    another.
    """
    try:
        json.dumps(dict(request), allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError) as error:
        return Completion(error="cannot_be_sent", detail=f"the request cannot be written as JSON: {error}")
    return None


def read_waiting(metrics: str) -> int | None:
    """Return how many calls wait by a vLLM server's gauges, all its engines together; None where they do not say."""
    try:
        counts = [float(count) for count in WAITING.findall(metrics)]
        return int(sum(counts)) if counts else None
    except (ValueError, OverflowError):
        return None


def read_reply(body: bytes) -> Completion:
    """Return the completion in a server's reply; a body that is cut or no completion at all is a passing error.

    So is a text whose making broke off, though it came with status 200.
    """
    try:
        reply = parse_reply(body)
        usage = reply.get("usage") or {}
        tokens = token_count(usage.get("prompt_tokens")), token_count(usage.get("completion_tokens"))
        if not reply["choices"]:
            return _with_tokens(
                Completion(error="malformed_reply", detail="the reply has no choices", transient=True), tokens
            )
        return _read_choice(reply["choices"][0], tokens)
    except UNREADABLE as error:
        return malformed(error, body)


def read_choice(choice: Any) -> Completion:
    """Return the completion in one of several choices, without tokens; one that cannot be read is a passing error."""
    try:
        return _read_choice(choice, (0, 0))
    except UNREADABLE as error:
        return malformed(error, str(choice).encode(errors="replace"))


def malformed(error: Exception, body: bytes) -> Completion:
    """Return a failure for a reply that is not a completion; another attempt may succeed."""
    detail = f"{error}: {body[: 4 * DETAIL_CHARACTERS].decode(errors='replace')}"
    return Completion(error="malformed_reply", detail=detail, transient=True)


def parse_reply(body: bytes) -> Any:
    """Return the JSON of a reply, read by the standard library where orjson refuses half a character or a NaN in it."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return json.loads(body)


def _read_choice(choice: Mapping[str, Any], tokens: tuple[int, int]) -> Completion:
    """Return the completion in one choice of a reply. Raises what a choice of another shape raises."""
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
        numbers=read_numbers(text, choice.get("logprobs")),
    )
    failure = choice.get("error")
    return reject_aborted(made, (words_of_error(failure) or str(failure)) if failure else "")


def _with_tokens(completion: Completion, tokens: tuple[int, int]) -> Completion:
    """Return a reply that is no answer, with the tokens of prompt and completion that the server counts for it."""
    return replace(completion, prompt_tokens=tokens[0], completion_tokens=tokens[1])


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
