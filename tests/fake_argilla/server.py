"""The server: one workspace, datasets with their settings, and records that people respond to."""

import json
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.served import served

Answer = tuple[int, Any]
MADE = {"inserted_at": "2026-01-01T00:00:00", "updated_at": "2026-01-01T00:00:00"}
NAMESPACE = uuid.UUID("00000000-0000-0000-0000-000000000007")


def id_of(*names: str) -> str:
    """The id of a thing, by its names."""
    return str(uuid.uuid5(NAMESPACE, "/".join(names)))


@dataclass
class FakeArgilla:
    """The server's state, what it was asked, and what it refuses."""

    key: str
    team: str = "ornithologists"
    people: tuple[str, ...] = ("ada", "umeko")
    datasets: dict[str, dict[str, Any]] = field(default_factory=dict)
    settings: dict[tuple[str, str], list[dict[str, Any]]] = field(default_factory=dict)
    records: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    failing: dict[str, int] = field(default_factory=dict)
    knows_people: bool = True
    address: str = ""

    @contextmanager
    def serving(self) -> Iterator["FakeArgilla"]:
        """Answer on a port of this machine while the block runs."""
        handler = type("Handler", (_Handler,), {"argilla": self})
        with served(handler) as self.address:
            yield self

    def respond(self, dataset: str, record: str, person: str, status: str = "submitted", **values: Any) -> None:
        """Let a person answer the questions of one record, by its id outside Argilla."""
        response = {
            "id": id_of("response", record, person),
            "user_id": id_of("user", person),
            "status": status,
            "values": {name: {"value": value} for name, value in values.items()},
        }
        self.records[id_of("dataset", dataset)][record]["responses"].append(response)

    def records_of(self, dataset: str) -> list[dict[str, Any]]:
        """The records of a dataset, by its name."""
        return list(self.records[id_of("dataset", dataset)].values())

    def answer(self, method: str, path: str, query: dict[str, list[str]], key: str | None, body: Any) -> Answer:
        """The answer to one request."""
        self.asked.append(f"{method} {path}")
        for part, status in self.failing.items():
            if part in path:
                return status, {"detail": f"the fake refuses {part} with the key {self.key}"}
        if key != self.key:
            return 401, {"detail": {"code": "argilla.api.errors::UnauthorizedError", "params": {}}}
        for verb, pattern, name in _ROUTES:
            if method == verb and (found := re.fullmatch(f"/api/v1{pattern}", path)):
                answer: Answer = getattr(self, name)(*found.groups(), query=query, body=body)
                return answer
        return 404, {"detail": f"no such thing: {path}"}

    def me(self, **_: Any) -> Answer:
        return 200, {"id": id_of("user", "owner"), "username": "owner", "role": "owner"}

    def user(self, user: str, **_: Any) -> Answer:
        found = next((name for name in self.people if id_of("user", name) == user), None)
        if found is None or not self.knows_people:
            return 403, {"detail": "not yours to know"}
        return 200, {"id": user, "username": found, "role": "annotator"}

    def _workspace(self) -> dict[str, Any]:
        return {"id": id_of("workspace", self.team), "name": self.team}

    def workspaces(self, **_: Any) -> Answer:
        return 200, {"items": [self._workspace()]}

    def workspace(self, _id: str, **_: Any) -> Answer:
        return 200, self._workspace()

    def all_datasets(self, **_: Any) -> Answer:
        return 200, {"items": list(self.datasets.values())}

    def make_dataset(self, body: Any, **_: Any) -> Answer:
        made = {"id": id_of("dataset", body["name"]), "status": "draft", **body}
        self.datasets[made["id"]] = {**made, "distribution": {"strategy": "overlap", "min_submitted": 1}}
        self.records[made["id"]] = {}
        return 201, self.datasets[made["id"]]

    def dataset(self, dataset: str, **_: Any) -> Answer:
        return (200, self.datasets[dataset]) if dataset in self.datasets else (404, {"detail": "no dataset"})

    def change_dataset(self, dataset: str, body: Any, **_: Any) -> Answer:
        self.datasets[dataset] |= {name: value for name, value in body.items() if name != "id"}
        return self.dataset(dataset)

    def publish(self, dataset: str, **_: Any) -> Answer:
        self.datasets[dataset]["status"] = "ready"
        return self.dataset(dataset)

    def list_settings(self, dataset: str, kind: str, **_: Any) -> Answer:
        return 200, {"items": self.settings.get((dataset, kind), [])}

    def add_setting(self, dataset: str, kind: str, body: Any, **_: Any) -> Answer:
        made = {**body, "id": id_of(kind, dataset, body["name"]), "dataset_id": dataset}
        self.settings.setdefault((dataset, kind), []).append(made)
        return 201, made

    def upsert(self, dataset: str, body: Any, **_: Any) -> Answer:
        updated, items = [], []
        for item in body["items"]:
            name = item["external_id"]
            known = self.records[dataset].get(name)
            made = {**item, "id": id_of("record", dataset, name), "responses": known["responses"] if known else []}
            self.records[dataset][name] = made
            updated += [made["id"]] if known else []
            items.append(made)
        return 200, {"items": [self._shown(dataset, item) for item in items], "updated_item_ids": updated}

    def list_records(self, dataset: str, query: dict[str, list[str]], **_: Any) -> Answer:
        start, number = int(query["offset"][0]), int(query["limit"][0])
        some = list(self.records[dataset].values())[start : start + number]
        return 200, {"items": [self._shown(dataset, item) for item in some]}

    def _shown(self, dataset: str, record: dict[str, Any]) -> dict[str, Any]:
        questions = {one["name"]: one["id"] for one in self.settings[dataset, "questions"]}
        suggestions = [
            {**one, "id": str(uuid.uuid4()), "question_id": one.get("question_id") or questions[one["question_name"]]}
            for one in record["suggestions"]
        ]
        return {**record, "suggestions": suggestions, "vectors": {}, "dataset_id": dataset}


_ROUTES = (
    ("GET", r"/me", "me"),
    ("GET", r"/me/workspaces", "workspaces"),
    ("GET", r"/me/datasets", "all_datasets"),
    ("GET", r"/me/datasets/([^/]+)/(metadata-properties)", "list_settings"),
    ("GET", r"/users/([^/]+)", "user"),
    ("GET", r"/workspaces/([^/]+)", "workspace"),
    ("POST", r"/datasets", "make_dataset"),
    ("GET", r"/datasets/([^/]+)", "dataset"),
    ("PATCH", r"/datasets/([^/]+)", "change_dataset"),
    ("PUT", r"/datasets/([^/]+)/publish", "publish"),
    ("GET", r"/datasets/([^/]+)/(fields|questions|vectors-settings)", "list_settings"),
    ("POST", r"/datasets/([^/]+)/(fields|questions|vectors-settings|metadata-properties)", "add_setting"),
    ("PUT", r"/datasets/([^/]+)/records/bulk", "upsert"),
    ("GET", r"/datasets/([^/]+)/records", "list_records"),
)


def _dated(value: Any) -> Any:
    """A thing, or a list of things, with the times at which the server made it."""
    if isinstance(value, dict) and "items" in value:
        return {**value, "items": [_dated(item) for item in value["items"]]}
    return {**MADE, **value}


class _Handler(BaseHTTPRequestHandler):
    argilla: FakeArgilla
    protocol_version = "HTTP/1.1"

    def _do(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        key = self.headers.get("X-Argilla-Api-Key")
        status, value = self.argilla.answer(
            self.command, parts.path, parse_qs(parts.query), key, json.loads(body) if body else None
        )
        content = json.dumps(_dated(value)).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = _do

    def log_message(self, *_: Any) -> None:
        """Say nothing on the terminal."""
