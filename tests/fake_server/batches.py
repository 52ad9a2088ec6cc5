"""OpenAI's Batch API: files go in, batches take their time, results come back in another order."""

import time
from dataclasses import dataclass
from typing import Any, Protocol

import orjson
from aiohttp import web

from tests.fake_server.accounts import Accounts
from tests.fake_server.config import ServerConfig
from tests.fake_server.faults import draw
from tests.fake_server.replies import error_response, json_response, reset_connection

Rows = list[dict[str, Any]]


class Server(Protocol):
    """What batches need of the server."""

    config: ServerConfig
    accounts: Accounts

    def answer_offline(self, endpoint: str, raw: bytes) -> tuple[int, dict[str, Any]]:
        """The status and the body of one request."""


@dataclass(slots=True)
class Batch:
    """One batch: what it asks, when it was made, and how it ended."""

    id: str
    input_file: str
    url: str
    metadata: dict[str, str] | None
    made: float
    status: str = "in_progress"
    output_file: str | None = None
    error_file: str | None = None
    errors: dict[str, Any] | None = None

    def shown(self) -> dict[str, Any]:
        """The batch as OpenAI shows it."""
        return {
            "id": self.id,
            "object": "batch",
            "endpoint": self.url,
            "input_file_id": self.input_file,
            "completion_window": "24h",
            "status": self.status,
            "output_file_id": self.output_file,
            "error_file_id": self.error_file,
            "errors": self.errors,
            "metadata": self.metadata,
            "created_at": int(self.made),
        }


class Batches:
    """The files and the batches of one server."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._files: dict[str, bytes] = {}
        self._batches: dict[str, Batch] = {}

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request below /v1/files or /v1/batches."""
        kind, _, rest = request.path.removeprefix("/v1/").partition("/")
        name, _, verb = rest.partition("/")
        if kind == "files":
            return await self._upload(request) if request.method == "POST" else self._file(name, verb)
        if request.method == "POST":
            return self._cancel(name) if verb == "cancel" else await self._take(request)
        return self._list(request) if not name else self._look(name)

    def report(self) -> dict[str, int]:
        """How many files and batches there are, by the batches' status."""
        states = [batch.status for batch in self._batches.values()]
        return {"files": len(self._files), **{state: states.count(state) for state in set(states)}}

    async def _upload(self, request: web.BaseRequest) -> web.Response:
        fields = await request.post()
        file = fields["file"]
        if fields.get("purpose") != "batch" or isinstance(file, str | bytes | bytearray):
            return error_response(400, "send a file with the purpose batch")
        name = self._keep(file.file.read())
        return json_response(orjson.dumps({"id": name, "object": "file", "purpose": "batch", "bytes": 0}))

    def _keep(self, data: bytes) -> str:
        name = f"file-{len(self._files)}"
        self._files[name] = data
        return name

    def _file(self, name: str, verb: str) -> web.Response:
        gone = [self._batches[one].output_file for one in self._server.config.batch_answers_gone]
        if name not in self._files or verb != "content" or name in gone:
            return error_response(404, f"No such file: {name}")
        return web.Response(body=self._files[name], content_type="application/octet-stream")

    async def _take(self, request: web.BaseRequest) -> web.Response:
        response = self._make(orjson.loads(await request.read()))
        return reset_connection(request) if self._server.config.batch_reply == "lost" else response

    def _make(self, body: dict[str, Any]) -> web.Response:
        if body.get("input_file_id") not in self._files or body.get("completion_window") != "24h":
            return error_response(400, "a batch needs a file and a completion window of 24h")
        name = f"batch_{len(self._batches)}"
        batch = Batch(name, body["input_file_id"], body["endpoint"], body.get("metadata"), time.time())
        self._batches[name] = batch
        return json_response(orjson.dumps(batch.shown()))

    def _list(self, request: web.BaseRequest) -> web.Response:
        if self._server.config.batch_list == "lost":
            self._server.accounts.faults["batch_list"] += 1
            return reset_connection(request)
        if self._server.config.batch_list == "refused":
            return error_response(405, "Method Not Allowed")
        shown = [batch.shown() for batch in reversed(self._batches.values())]
        return json_response(orjson.dumps({"object": "list", "data": shown, "has_more": False}))

    def _look(self, name: str) -> web.Response:
        batch = self._batches.get(name)
        if batch is None:
            return error_response(404, f"No such batch: {name}")
        if batch.status == "in_progress" and time.time() >= batch.made + self._server.config.batch_s:
            self._end(batch, self._server.config.batch_ending)
        return json_response(orjson.dumps(batch.shown()))

    def _cancel(self, name: str) -> web.Response:
        batch = self._batches.get(name)
        if batch is None or self._server.config.batch_cancel == "unknown":
            return error_response(404, f"No such batch: {name}")
        if batch.status == "in_progress":
            self._end(batch, "cancelled")
        return json_response(orjson.dumps(batch.shown()))

    def _end(self, batch: Batch, ending: str) -> None:
        if ending in ("failed", "token_limit_exceeded"):
            fault = {"code": ending, "message": "Enqueued token limit reached.", "line": None, "param": None}
            batch.status, batch.errors = "failed", {"object": "list", "data": [fault]}
            return
        batch.status = ending
        good, bad = self._results(batch, ending)
        batch.output_file = self._keep(_lines(good, self._server.config.batch_noise)) if good else None
        batch.error_file = self._keep(_lines(bad, False)) if bad else None

    def _results(self, batch: Batch, ending: str) -> tuple[Rows, Rows]:
        good, bad = Rows(), Rows()
        for line in self._files[batch.input_file].splitlines():
            asked = orjson.loads(line)
            result = {"id": f"batch_req_{len(good) + len(bad)}", "custom_id": asked["custom_id"]}
            if draw("batch", asked["custom_id"]) >= self._server.config.batch_share:
                error = {"code": f"batch_{ending}", "message": "It could not be executed in time."}
                bad.append({**result, "response": None, "error": error})
                continue
            status, body = self._server.answer_offline(asked["url"].removeprefix("/v1/"), orjson.dumps(asked["body"]))
            response = {"status_code": status, "request_id": "r", "body": body}
            (good if status == 200 else bad).append({**result, "response": response, "error": None})
        good.sort(key=lambda row: draw("order", row["custom_id"]))
        return good, bad


def _lines(rows: Rows, noise: bool) -> bytes:
    lines = [orjson.dumps(row) for row in rows]
    if noise:
        wrong = orjson.dumps({**rows[0], "response": {**rows[1 % len(rows)]["response"]}})
        stranger = orjson.dumps({**rows[0], "custom_id": "f" * 32})
        lines = [b"", b"{", b"[]", b'{"custom_id": 5}', stranger, *lines, wrong, lines[0][: len(lines[0]) // 2]]
    return b"\n".join(lines) + b"\n"
