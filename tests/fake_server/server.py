"""The server itself: one handler on aiohttp's low-level server, without routes, middlewares or access logs."""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import orjson
from aiohttp import web

from tests.fake_server import answers
from tests.fake_server.accounts import Accounts, SampleCount, Slots
from tests.fake_server.answers import Answers
from tests.fake_server.asks import SCORING, Ask, BadAskError, Sample, read_ask
from tests.fake_server.batches import Batches
from tests.fake_server.config import ServerConfig
from tests.fake_server.faults import FaultPlan
from tests.fake_server.logprobs import logprobs_of, refusal_of
from tests.fake_server.prefixes import PrefixCache
from tests.fake_server.replies import (
    CREDIT_SPENT,
    ERROR_CODES,
    WRONG_KEY,
    bad_request,
    broken_off,
    error_response,
    json_response,
    reset_connection,
)
from tests.fake_server.scores import scored

ENDPOINTS = {
    "/v1/chat/completions": "chat/completions",
    "/v1/completions": "completions",
    "/v1/embeddings": "embeddings",
    **{f"/{name}": name for name in SCORING},
}
LARGEST_BODY = 256 * 2**20


class Application:
    """The state of a fake server, and the answer to every request."""

    def __init__(self, config: ServerConfig) -> None:
        self.accounts = Accounts()
        self.slots = Slots(config.slots)
        self._in_flight = 0
        self.batches = Batches(self)
        self.configure(config)
        self._recorded: deque[dict[str, Any]] = deque(maxlen=config.record)

    def configure(self, config: ServerConfig) -> None:
        """Answer by another configuration from the next request on."""
        self.config = config
        self._faults = FaultPlan(config)
        self._answers = Answers(config)
        self._prefixes = PrefixCache(config.prefix_cache)
        if config.slots != self.slots.limit:
            self.slots.resize(config.slots)

    def reset(self) -> None:
        """Reset all accounts, attempts and records included."""
        self.accounts = Accounts()
        self._prefixes = PrefixCache(self.config.prefix_cache)
        self.slots.reset()
        self._recorded.clear()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request to any path."""
        endpoint = ENDPOINTS.get(request.path)
        if endpoint is not None and request.method == "POST":
            return await self._post(request, endpoint)
        if request.path.startswith(("/v1/files", "/v1/batches")):
            return self._refused(request) or await self.batches.handle(request)
        if request.path == "/v1/models" and request.method == "GET":
            return self._models(request)
        if request.path in ("/health", "/metrics"):
            return web.Response(text=self._metrics() if request.path == "/metrics" else "")
        if request.path.startswith("/_admin/"):
            return await self._admin(request)
        return error_response(404, f"there is nothing at {request.method} {request.path}", "not_found")

    async def _post(self, request: web.BaseRequest, endpoint: str) -> web.StreamResponse:
        raw = await request.read()
        accounts = self.accounts
        self._in_flight += 1
        accounts.arrive(endpoint, self._in_flight)
        try:
            ask = read_ask(endpoint, raw)
            return self._turned_away(request, ask) or await self._counted(request, ask, accounts)
        except BadAskError as error:
            accounts.calls_failed += 1
            accounts.statuses[400] += 1
            return error_response(400, str(error))
        finally:
            self._in_flight -= 1

    def answer_offline(self, endpoint: str, raw: bytes) -> tuple[int, dict[str, Any]]:
        """The status and the body of one request of a batch, counted like any other."""
        accounts = self.accounts
        try:
            ask = read_ask(endpoint, raw)
        except BadAskError as error:
            return 400, {"error": {"message": str(error)}}
        if self.config.models is not None and ask.model not in self.config.models:
            return 404, {"error": {"message": f"The model `{ask.model}` does not exist."}}
        fault, lasting = self._faults.transient(ask, accounts.begin(ask)), self._faults.lasting(ask)
        if fault is not None and fault != "broken_off":
            accounts.faults[fault] += 1
            status = 429 if fault == "http_429" else 500
            return status, {"error": {"message": f"The request failed: {fault}.", "code": ERROR_CODES.get(status)}}
        if lasting == "context_too_long":
            accounts.finish(ask, 0, 0)
            return 400, {"error": {"message": "Too long.", "code": "context_length_exceeded"}}
        tokens = [self._answers.tokens(sample) for sample in ask.samples]
        numbers = [0 if fault else accounts.draw(sample.digest) for sample in ask.samples]
        body = self._body(ask, tokens, numbers, lasting)
        if fault == "broken_off":
            accounts.faults[fault] += 1
            return 200, broken_off(body)
        accounts.finish(ask, body["usage"]["prompt_tokens"], body["usage"].get("completion_tokens", 0))
        return 200, body

    def _turned_away(self, request: web.BaseRequest, ask: Ask) -> web.Response | None:
        response = self._refused(request)
        models = self.config.models
        if response is None and models is not None and ask.model not in models:
            response = error_response(404, f"The model `{ask.model}` does not exist.")
        if response is None and self.config.credit is not None and self.accounts.statuses[200] >= self.config.credit:
            response = bad_request(CREDIT_SPENT)
        if response is not None:
            self._record(request, ask)
            self.accounts.by_model[ask.model].calls += 1
            self.accounts.calls_failed += 1
            self.accounts.statuses[response.status] += 1
        return response

    def _refused(self, request: web.BaseRequest) -> web.Response | None:
        if self.config.status_all is not None:
            return error_response(self.config.status_all, f"Every request fails with {self.config.status_all}.")
        if self.config.api_key is not None and request.headers.get("Authorization") != f"Bearer {self.config.api_key}":
            wrong = error_response(401, "Incorrect API key provided.")
            return wrong if self.config.key_status == 401 else bad_request(WRONG_KEY)
        return None

    def _record(self, request: web.BaseRequest, ask: Ask) -> None:
        if self.config.record:
            headers = {name.lower(): value for name, value in request.headers.items()}
            self._recorded.append({"endpoint": ask.endpoint, "headers": headers, "body": ask.body})

    async def _counted(self, request: web.BaseRequest, ask: Ask, accounts: Accounts) -> web.StreamResponse:
        self._record(request, ask)
        attempt = accounts.begin(ask)
        try:
            return await self._attempted(request, ask, attempt, accounts)
        except asyncio.CancelledError:
            accounts.abort(ask)
            raise

    async def _attempted(
        self, request: web.BaseRequest, ask: Ask, attempt: int, accounts: Accounts
    ) -> web.StreamResponse:
        fault = self._faults.transient(ask, attempt)
        if self.config.queue_limit is not None and self.slots.waiting >= self.config.queue_limit:
            fault = "http_429"
        if fault is not None:
            accounts.faults[fault] += 1
            response = await self._fail_early(request, fault)
            if response is not None:
                accounts.calls_failed += 1
                if fault != "reset":
                    accounts.statuses[response.status] += 1
                return response
        lasting = self._faults.lasting(ask)
        if lasting is not None:
            accounts.faults[lasting] += 1
        return await self._served(request, ask, accounts, fault, lasting)

    async def _fail_early(self, request: web.BaseRequest, fault: str) -> web.Response | None:
        match fault:
            case "http_429":
                wait = self.config.retry_after_s
                response = error_response(429, "Rate limit reached.")
                if wait is not None:
                    response.headers["Retry-After"] = f"{wait:g}"
                return response
            case "http_500":
                return error_response(500, "The server had an error.")
            case "reset":
                return reset_connection(request)
            case "hang":
                await asyncio.Event().wait()
            case "slow":
                await asyncio.sleep(self.config.slow_s)
        return None

    async def _served(
        self, request: web.BaseRequest, ask: Ask, accounts: Accounts, fault: str | None, lasting: str | None
    ) -> web.StreamResponse:
        if lasting == "context_too_long":
            text = "This model's maximum context length is 4096 tokens. Please reduce the length of the messages."
            response = error_response(400, text, "context_length_exceeded")
            return await self._hand_over(request, response, ask, accounts, {})
        if (why := refusal_of(ask.body, self.config)) is not None:
            return await self._hand_over(request, error_response(400, why), ask, accounts, {})
        tokens = [self._answers.tokens(sample) for sample in ask.samples]
        known = self._prefixes.known_tokens(ask.samples[0])
        await self._serve(tokens, accounts)
        self._prefixes.keep(ask.samples[0])
        spoilt = fault in ("cut_body", "malformed_json", "broken_off")
        numbers = [0 if spoilt else accounts.draw(sample.digest) for sample in ask.samples]
        body = scored(ask) if ask.endpoint in SCORING else self._body(ask, tokens, numbers, lasting)
        if known:
            body["usage"]["prompt_tokens_details"] = {"cached_tokens": known}
        data = orjson.dumps(broken_off(body) if fault == "broken_off" and "choices" in body else body)
        if spoilt:
            accounts.calls_failed += 1
            accounts.statuses[200] += 1
            cut = data[: len(data) // 2] if fault == "malformed_json" else data
            return cut_body(request, data) if fault == "cut_body" else json_response(cut)
        response = json_response(data, self.config.headers)
        return await self._hand_over(request, response, ask, accounts, body["usage"])

    async def _serve(self, tokens: Sequence[int], accounts: Accounts) -> None:
        config = self.config
        if config.slots is None and not config.first_token_s and not config.per_token_s:
            return
        seconds = [config.first_token_s + config.per_token_s * count for count in tokens]
        if len(seconds) == 1:
            await self.slots.serve(seconds[0])
        else:
            async with asyncio.TaskGroup() as group:
                for one in seconds:
                    group.create_task(self.slots.serve(one))
        accounts.service_seconds += math.fsum(seconds)

    async def _hand_over(
        self, request: web.BaseRequest, response: web.Response, ask: Ask, accounts: Accounts, usage: dict[str, Any]
    ) -> web.Response:
        try:
            await response.prepare(request)
            await response.write_eof()
        except ConnectionError:
            accounts.abort(ask)
            return response
        accounts.statuses[response.status] += 1
        known = usage.get("prompt_tokens_details", {}).get("cached_tokens", 0)
        accounts.finish(ask, usage.get("prompt_tokens", 0), usage.get("completion_tokens", 0), known)
        return response

    def _body(self, ask: Ask, tokens: Sequence[int], numbers: Sequence[int], lasting: str | None) -> dict[str, Any]:
        if ask.endpoint == "embeddings":
            return _vectors(ask)
        chat = ask.endpoint == "chat/completions"
        choices: list[dict[str, Any]] = []
        completion_tokens = 0
        for sample, drawn, number in zip(ask.samples, tokens, numbers, strict=True):
            text, finish_reason, count = self._completion_of(ask, sample, drawn, number, lasting)
            completion_tokens += count
            message = answers.with_reasoning(text, sample, self.config) if chat else {}
            content = {"message": {"role": "assistant", **message}} if chat else {"text": text}
            content |= logprobs_of(ask.body, message["content"], self.config) if chat else {}
            choices.append({"index": len(choices), "finish_reason": finish_reason, "stop_reason": None, **content})
        asked_tokens = sum(answers.prompt_tokens(sample) for sample in ask.samples if sample.index == 0)
        return {
            "id": f"{'chatcmpl' if chat else 'cmpl'}-{ask.digest[:16]}",
            "object": "chat.completion" if chat else "text_completion",
            "created": int(time.time()),
            "model": ask.model,
            "choices": choices,
            "usage": {
                "prompt_tokens": asked_tokens,
                "completion_tokens": completion_tokens,
                "total_tokens": asked_tokens + completion_tokens,
            },
        }

    def _completion_of(
        self, ask: Ask, sample: Sample, drawn: int, occurrence: int, lasting: str | None
    ) -> tuple[str, str, int]:
        if lasting == "empty_content":
            return "", "stop", drawn or 1
        text = answers.refusal(sample) if lasting == "refusal" else self._answers.text(ask, sample, occurrence)
        count = drawn or answers.text_tokens(text)
        most = ask.body.get("max_completion_tokens") or ask.body.get("max_tokens")
        if most is not None and count > most:
            return text[: len(text) * most // count], "length", most
        if lasting == "truncated":
            return text[: len(text) // 2], "length", count
        return text, "stop", count

    def _models(self, request: web.BaseRequest) -> web.Response:
        self.accounts.by_endpoint["models"].calls += 1
        refused = self._refused(request)
        if refused is not None:
            return refused
        names = self.config.models if self.config.models is not None else ("any",)
        owner = self.config.owned_by
        data = [{"id": name, "object": "model", "created": 0, "owned_by": owner} for name in names]
        return json_response(orjson.dumps({"object": "list", "data": data}))

    def _metrics(self) -> str:
        self.accounts.by_endpoint["metrics"].calls += 1
        name = self.config.models[0] if self.config.models else "any"
        gauges = {"running": self.slots.running, "waiting": self.slots.waiting}
        return "".join(
            f"# HELP vllm:num_requests_{state} Number of requests {state}.\n"
            f"# TYPE vllm:num_requests_{state} gauge\n"
            f'vllm:num_requests_{state}{{engine="0",model_name="{name}"}} {float(count)}\n'
            for state, count in gauges.items()
        )

    async def _admin(self, request: web.BaseRequest) -> web.Response:
        views: dict[str, Callable[[], Any]] = {
            "stats": self.report,
            "samples": self._samples,
            "requests": lambda: list(self._recorded),
            "config": self.config.model_dump,
        }
        name = request.path.removeprefix("/_admin/")
        if request.method == "GET" and name in views:
            return json_response(orjson.dumps(views[name]()))
        if request.method == "POST" and name == "config":
            return self._changed(await request.read())
        if request.method == "POST" and name == "reset":
            self.reset()
            return json_response(b"{}")
        return error_response(404, f"there is nothing at {request.method} {request.path}", "not_found")

    def _changed(self, raw: bytes) -> web.Response:
        try:
            config = self.config.changed(**orjson.loads(raw))
        except (ValueError, TypeError) as error:
            return error_response(400, str(error))
        if config.record != self.config.record:
            self._recorded = deque(self._recorded, maxlen=config.record)
        self.configure(config)
        return json_response(config.model_dump_json().encode())

    def _samples(self) -> dict[str, dict[str, int]]:
        fields = [name for name in SampleCount.__slots__ if name != "drawn"]
        samples = self.accounts.samples.items()
        return {digest: {name: getattr(count, name) for name in fields} for digest, count in samples}

    def report(self) -> dict[str, Any]:
        """All accounts as plain values, the gauges and the shares worked out."""
        accounts, busy = self.accounts, self.slots.busy_seconds()
        first, last = accounts.first_call, accounts.last_finish
        span = last - first if first is not None and last is not None else 0.0
        room = (self.slots.limit or 0) * span
        return accounts.report() | {
            "in_flight": self._in_flight,
            "running": self.slots.running,
            "waiting": self.slots.waiting,
            "slots": self.slots.limit,
            "busy_slot_seconds": busy,
            "span_s": span,
            "utilisation": busy / room if room else None,
            "service_utilisation": accounts.service_seconds / room if room else None,
            "cpu_seconds": time.process_time(),
            "batches": self.batches.report(),
        }


def _vectors(ask: Ask) -> dict[str, Any]:
    """The body that answers an embeddings request: a vector for each input."""
    tokens = sum(answers.prompt_tokens(sample) for sample in ask.samples)
    data = [
        {"object": "embedding", "index": index, "embedding": answers.embedding(sample.prompt)}
        for index, sample in enumerate(ask.samples)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": ask.model, "usage": usage}


def cut_body(request: web.BaseRequest, data: bytes) -> web.Response:
    """Announce all of the data, send half of it and close the connection; the response is for the accounts only."""
    transport = request.transport
    if transport is not None:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        transport.write(head.encode() + data[: len(data) // 2])
        transport.close()
    return web.Response(status=200)


async def listen(application: Application, port: int) -> tuple[asyncio.Server, int]:
    """Listen on 127.0.0.1, and say on which port (0 takes a free one)."""
    loop = asyncio.get_running_loop()

    def request_of(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
        return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=LARGEST_BODY)

    server = web.Server(
        application.handle,
        request_factory=request_of,
        handler_cancellation=True,
        access_log=None,
        keepalive_timeout=3600.0,
    )
    listener = await loop.create_server(server, "127.0.0.1", port, backlog=4096, reuse_address=True)
    return listener, listener.sockets[0].getsockname()[1]
