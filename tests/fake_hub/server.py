"""The server: repositories in memory, commits that are whole or not, large files by the LFS protocol."""

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.served import served

LARGE_NAMES = (".parquet", ".arrow")
Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Commit:
    """One commit: its files whole."""

    sha: str
    files: dict[str, bytes]
    message: str


@dataclass
class Repository:
    """A dataset repository: its branches, each a line of commits."""

    private: bool
    branches: dict[str, list[Commit]] = field(default_factory=dict)

    def files(self, branch: str = "main") -> dict[str, bytes]:
        return self.branches[branch][-1].files

    def find(self, revision: str) -> Commit | None:
        if revision in self.branches:
            return self.branches[revision][-1]
        commits = (commit for line in self.branches.values() for commit in line)
        return next((commit for commit in commits if commit.sha == revision), None)

    def add(self, branch: str, files: dict[str, bytes], message: str) -> Commit:
        line = self.branches.setdefault(branch, [])
        name = json.dumps([branch, len(line), message, sorted(files)])
        line.append(Commit(hashlib.sha1(name.encode()).hexdigest(), files, message))
        return line[-1]


@dataclass
class FakeHub:
    """The Hub's state, what it was asked, and what it refuses."""

    token: str
    repositories: dict[str, Repository] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    failing: dict[str, int] = field(default_factory=dict)
    before_commit: Any = None
    address: str = ""

    @contextmanager
    def serving(self) -> Iterator["FakeHub"]:
        """Answer on a port of this machine while the block runs."""
        handler = type("Handler", (_Handler,), {"hub": self})
        with served(handler) as self.address:
            yield self

    def answer(self, method: str, path: str, token: str | None, body: bytes) -> Answer:
        """The answer to one request."""
        self.asked.append(f"{method} {path}")
        for part, status in self.failing.items():
            if part in path:
                return _json(status, {"error": f"the fake refuses {part}"})
        if token != self.token and not path.startswith("/lfs/"):
            return _json(401, {"error": f"Invalid token {token}"})
        for verb, pattern, name in _ROUTES:
            if method == verb and (found := re.fullmatch(pattern, path)):
                return getattr(self, name)(*map(unquote, found.groups()), body)
        return _json(404, {"error": f"no such thing: {path}"})

    def create(self, body: bytes) -> Answer:
        asked = json.loads(body)
        repo = f"{asked['organization']}/{asked['name']}"
        if repo in self.repositories:
            return _json(409, {"error": "You already created this repo", "url": f"{self.address}/datasets/{repo}"})
        self.repositories[repo] = Repository(asked.get("visibility") == "private")
        self.repositories[repo].add("main", {".gitattributes": b"*.parquet filter=lfs\n"}, "initial commit")
        return _json(200, {"url": f"{self.address}/datasets/{repo}"})

    def info(self, repo: str, revision: str, body: bytes) -> Answer:
        found = self.repositories.get(repo)
        commit = found.find(revision) if found else None
        if found is None or commit is None:
            code = "RepoNotFound" if found is None else "RevisionNotFound"
            return _json(404, {"error": "not found"}, {"X-Error-Code": code})
        siblings = [{"rfilename": name} for name in commit.files]
        return _json(200, {"id": repo, "sha": commit.sha, "private": found.private, "siblings": siblings, "tags": []})

    def latest(self, repo: str, body: bytes) -> Answer:
        return self.info(repo, "main", body)

    def branch(self, repo: str, name: str, body: bytes) -> Answer:
        branches = self.repositories[repo].branches
        if name in branches:
            return _json(409, {"error": "Reference already exists"})
        branches[name] = list(branches["main"])
        return _json(200, {})

    def validate(self, body: bytes) -> Answer:
        content = json.loads(body)["content"]
        if not content.startswith("---\n"):
            return _json(400, {"errors": [{"message": "no YAML header"}], "warnings": []})
        return _json(200, {"errors": [], "warnings": []})

    def preupload(self, repo: str, revision: str, body: bytes) -> Answer:
        modes = [
            {"path": file["path"], "uploadMode": "lfs" if file["path"].endswith(LARGE_NAMES) else "regular"}
            for file in json.loads(body)["files"]
        ]
        return _json(200, {"files": [{**mode, "shouldIgnore": False} for mode in modes]})

    def batch(self, repo: str, body: bytes) -> Answer:
        def action(oid: str) -> dict[str, Any]:
            return {} if oid in self.large else {"actions": {"upload": {"href": f"{self.address}/lfs/{oid}"}}}

        objects = [{**one, **action(one["oid"])} for one in json.loads(body)["objects"]]
        return _json(200, {"transfer": "basic", "objects": objects})

    def keep_large(self, oid: str, body: bytes) -> Answer:
        if hashlib.sha256(body).hexdigest() != oid:
            return _json(400, {"error": "wrong digest"})
        self.large[oid] = body
        return _json(200, {})

    def commit(self, repo: str, revision: str, body: bytes) -> Answer:
        found = self.repositories[repo]
        if self.before_commit is not None:
            self.before_commit(found)
        lines = [json.loads(line) for line in body.splitlines()]
        header = next(line["value"] for line in lines if line["key"] == "header")
        if header.get("parentCommit") not in (None, found.branches[revision][-1].sha):
            return _json(412, {"error": "A commit has happened since. Please refresh and try again."})
        files = dict(found.files(revision))
        for line in lines:
            _apply(files, line["key"], line["value"], self.large)
        made = found.add(revision, files, header["summary"])
        url = f"{self.address}/datasets/{repo}/commit/{made.sha}"
        return _json(200, {"success": True, "commitUrl": url, "commitOid": made.sha})

    def resolve(self, repo: str, revision: str, name: str, body: bytes) -> Answer:
        commit = self.repositories[repo].find(revision)
        if commit is None or name not in commit.files:
            return _json(404, {"error": "not found"}, {"X-Error-Code": "EntryNotFound"})
        content = commit.files[name]
        tag = hashlib.sha1(content).hexdigest()
        return 200, {"ETag": f'"{tag}"', "X-Repo-Commit": commit.sha, "Content-Type": "text/plain"}, content


_REPO = r"([^/]+/[^/]+)"
_ROUTES = (
    ("POST", r"/api/repos/create", "create"),
    ("POST", r"/api/validate-yaml", "validate"),
    ("GET", rf"/api/datasets/{_REPO}", "latest"),
    ("GET", rf"/api/datasets/{_REPO}/revision/([^/]+)", "info"),
    ("POST", rf"/api/datasets/{_REPO}/branch/([^/]+)", "branch"),
    ("POST", rf"/api/datasets/{_REPO}/preupload/([^/]+)", "preupload"),
    ("POST", rf"/api/datasets/{_REPO}/commit/([^/]+)", "commit"),
    ("POST", rf"/datasets/{_REPO}\.git/info/lfs/objects/batch", "batch"),
    ("PUT", r"/lfs/([0-9a-f]{64})", "keep_large"),
    ("GET", rf"/datasets/{_REPO}/resolve/([^/]+)/(.+)", "resolve"),
    ("HEAD", rf"/datasets/{_REPO}/resolve/([^/]+)/(.+)", "resolve"),
)


def _apply(files: dict[str, bytes], key: str, value: dict[str, Any], large: dict[str, bytes]) -> None:
    if key == "file":
        files[value["path"]] = base64.b64decode(value["content"])
    elif key == "lfsFile":
        files[value["path"]] = large[value["oid"]]
    elif key == "deletedFile":
        del files[value["path"]]


def _json(status: int, value: Any, headers: dict[str, str] | None = None) -> Answer:
    return status, {"Content-Type": "application/json", **(headers or {})}, json.dumps(value).encode()


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub
    protocol_version = "HTTP/1.1"

    def _do(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None
        status, headers, content = self.hub.answer(self.command, urlsplit(self.path).path, token, body)
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_HEAD = _do

    def log_message(self, *_: Any) -> None:
        """Say nothing on the terminal."""
