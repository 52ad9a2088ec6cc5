"""One OpenAI-compatible server: sends a request, and says in our words what came back."""

import asyncio
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import httpx2
import openai
import orjson

from blocks.account_faults import account_fault
from blocks.bounded_client import BoundedClient
from blocks.embeddings import read_embedding
from blocks.llm import Completion, Request, if_generated, token_count
from blocks.models import OpenAIModel
from blocks.rate_headers import quota_wait, retry_after

TOO_LONG = re.compile(r"context.{0,20}(length|window|size)|maximum.{0,20}(length|tokens)|too (long|many tokens)", re.I)
REFUSED = re.compile(r"content.?(filter|policy|management)|safety|moderation|flagged", re.I)
BY_STATUS = {401: "not_authorised", 402: "out_of_credit", 404: "not_found"}
MAY_PASS = (408, 409, 425)
DETAIL_CHARACTERS = 500
SAID = ("code", "type", "message")
NO_KEY = "no-key-needed"
QUEUEING = "vllm"
INSTEAD = (
    "Magpie goes on from a text that stands before the user's words: serve the model where /v1/completions takes such "
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
        self._client = client

    @classmethod
    def connect(cls, config: OpenAIModel, address: str) -> "OpenAIEndpoint":
        """A client for a server of the model, its key read from the environment. Must be called in the event loop."""
        variable = config.key_variable()
        silence = config.first_byte_timeout_s or config.timeout_s
        timeout = httpx2.Timeout(config.timeout_s, connect=config.connect_timeout_s, read=silence, pool=None)
        # The lane limits the calls in flight. For aiohttp 0 means no limit, and None would mean its own of 100.
        limits = httpx2.Limits(max_connections=0, max_keepalive_connections=None)
        client = openai.AsyncOpenAI(
            base_url=address,
            api_key=os.environ.get(variable or "", "").strip() or NO_KEY,
            max_retries=0,
            timeout=timeout,
            http_client=BoundedClient(timeout=timeout, limits=limits),
        )
        return cls(config, client)

    @property
    def client(self) -> openai.AsyncOpenAI:
        """The client behind it, for what is not a completion."""
        return self._client

    async def models(self) -> list[str] | None:
        """Names of the server's models; None where it does not say. Raises openai.APIError."""
        try:
            response = await self._client.get("/models", cast_to=httpx2.Response, options={"timeout": 15.0})
            listed = orjson.loads(response.content)["data"]
            self.queues = any(model.get("owned_by") == QUEUEING for model in listed)
            return [str(model["id"]) for model in listed]
        except (openai.NotFoundError, orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
            return None
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
            path, body = self._asked(request)
            async with asyncio.timeout(self.config.timeout_s):
                response = await self._client.post(path, cast_to=httpx2.Response, body=body)
            found = self._read(request, response.content) if read is None else read(response.content)
            completion = replace(found, wait_s=quota_wait(response.headers))
        except openai.APIStatusError as error:
            completion = read_failure(error)
        except TimeoutError:
            completion = timed_out(f"no complete reply within {self.config.timeout_s:g} s")
        except Exception as error:
            completion = self._without_reply(error)
        return replace(completion, detail=self.without_key(completion.detail))

    def _asked(self, request: Request) -> tuple[str, dict[str, Any]]:
        """The path and the body that a request is sent with."""
        path = "/embeddings" if "input" in request else "/chat/completions" if "messages" in request else "/completions"
        return path, {"model": self.config.model, **request}

    def _read(self, request: Request, reply: bytes) -> Completion:
        return (read_embedding if "input" in request else read_reply)(reply)

    def _without_reply(self, error: Exception) -> Completion:
        cause = error.__cause__ or error
        # A connection that is refused or reset also comes as a ConnectTimeout.
        if isinstance(cause, httpx2.TimeoutException) and not isinstance(cause, httpx2.ConnectTimeout):
            silence = self.config.first_byte_timeout_s or self.config.timeout_s
            return timed_out(f"no reply within {silence:g} s")
        cause = cause.__cause__ or cause
        return Completion(error="connection", detail=f"{type(cause).__name__}: {cause}", transient=True)

    def without_key(self, detail: str | None) -> str | None:
        """A detail, shortened, in which the key, if it stands there, is not readable."""
        # Some servers repeat the key that they refuse; it must not reach a log or a table.
        return shortened(detail.replace(self._client.api_key, "***")) if detail else detail

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def timed_out(detail: str) -> Completion:
    """A call without an answer in time, which may have one another time."""
    return Completion(error="time_out", detail=detail, transient=True)


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
        reply = orjson.loads(body)
        choice = reply["choices"][0]
        message = choice.get("message") or {}
        usage = reply.get("usage") or {}
        made = Completion(
            text=_text(message.get("content") if message else choice.get("text")),
            reasoning=_reasoning(message),
            finish_reason=_optional_text(choice.get("finish_reason")),
            stop_reason=_optional_text(choice.get("stop_reason")),
            prompt_tokens=token_count(usage.get("prompt_tokens")),
            completion_tokens=token_count(usage.get("completion_tokens")),
        )
        fault = choice.get("error")
        return if_generated(made, (_words_of(fault) or str(fault)) if fault else "")
    except (orjson.JSONDecodeError, LookupError, TypeError, ValueError, AttributeError) as error:
        detail = f"{error}: {body[: 4 * DETAIL_CHARACTERS].decode(errors='replace')}"
        return Completion(error="malformed_reply", detail=detail, transient=True)


def read_failure(error: openai.APIStatusError) -> Completion:
    """What a server's error status means: may pass, will not pass, or makes all calls pointless."""
    status, detail = error.status_code, _server_words(error).encode(errors="replace").decode()
    if (reason := _pointless(error, detail)) is not None:
        more = _without_completions(error) if reason == "not_found" else ""
        return Completion(error=reason, detail=f"{status}: {detail}{more}", fatal=True)
    if status == 429:
        found = Completion(error="rate_limited", detail=detail, transient=True)
        return replace(found, wait_s=asked_wait(found, error.response.headers))
    if status in MAY_PASS or status >= 500:
        found = Completion(error="server_error", detail=f"{status}: {detail}", transient=True)
        return replace(found, wait_s=asked_wait(found, error.response.headers))
    return Completion(error=_lasting_reason(status, detail), detail=f"{status}: {detail}")


def _pointless(error: openai.APIStatusError, detail: str) -> str | None:
    """Why no call to the model can succeed, if a failure says so: by its status, or by its words of key and credit."""
    status = error.status_code
    if status in BY_STATUS:
        return BY_STATUS[status]
    if status in MAY_PASS or status >= 500:
        return None
    fault = account_fault([error.body, error.message])
    if status == 429:
        return "out_of_credit" if fault == "out_of_credit" or "insufficient_quota" in detail else None
    return "not_authorised" if fault is None and status == 403 and not REFUSED.search(detail) else fault


def _without_completions(error: openai.APIStatusError) -> str:
    """What to say of a 404 where a text was to be gone on from: most likely the server has chat alone."""
    path = error.request.url.path
    if not path.endswith("/completions") or path.endswith("/chat/completions"):
        return ""
    return f"; if the server knows the model, it has chat alone; {INSTEAD}"


def asked_wait(failed: Completion, headers: Mapping[str, str]) -> float | None:
    """Seconds until a server takes calls again, as far as it says so; of a limited rate the quotas tell it too."""
    asked = retry_after(headers)
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
        return " ".join(str(inner[name]) for name in SAID if inner.get(name))
    return str(body)


def _reasoning(message: dict[str, Any]) -> str | None:
    return _optional_text(message.get("reasoning") or message.get("reasoning_content"))


def _optional_text(value: object) -> str | None:
    return None if value is None else _text(value)


def _text(value: object) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    text.encode()  # a lone surrogate cannot be kept: UnicodeEncodeError is a ValueError, so the reply is malformed
    return text


def shortened(text: str) -> str:
    """A text as long as a detail may be."""
    return text if len(text) <= DETAIL_CHARACTERS else text[:DETAIL_CHARACTERS] + "…"
