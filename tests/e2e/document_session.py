"""A person who types a document's commands one after the other, in a folder with what it takes for given."""

import os
import re
import signal
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from kasasagi.flows.server.private_server import free_port
from tests.e2e.command import Running, until
from tests.e2e.job import Job
from tests.e2e.pages import Line

PLACEHOLDER = "…"
SERVED = "Your deployments are being served"
LONGEST_S = 240
MADE = {
    "work_pools": ("kasasagi", "kasasagi-containers"),
    "v2/concurrency_limits": ("our-gpu",),
}


class DocumentSession:
    """One document's session: its job, the variables that it has set, and what its commands printed."""

    def __init__(self, job: Job, environment: dict[str, str]) -> None:
        self.job = job
        self.variables = environment
        self.outputs: dict[str, str] = {}
        self.stands_for: dict[str, str] = {}
        self.servers: dict[str, Any] = {}

    def folder(self, name: str) -> Path:
        """A file or folder of the session."""
        return self.job.folder / name

    def latest(self) -> str:
        """The id of the workspace's latest run that has ended."""
        return self.runs()[-1]

    def runs(self) -> list[str]:
        """The ids of the workspace's runs that have tables, oldest first."""
        return sorted(file.parent.name for file in self.folder("workspace").glob("runs/*/run.duckdb"))

    def take(self, line: Line) -> None:
        """Type one command and see it end well."""
        environment = {name: self._meant(value) for name, value in line.environment if value != PLACEHOLDER}
        words = [self._meant(word) for word in self._each_run(line.words)]
        self.outputs[line.written] = KINDS[words[0]](self, words, environment)

    def _meant(self, word: str) -> str:
        for name, meant in self.stands_for.items():
            word = re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", lambda _, meant=meant: meant, word)  # type: ignore[misc]
        return word

    def _each_run(self, words: Sequence[str]) -> list[str]:
        """The words with the runs that RUN stands for, the latest last."""
        found = self.runs()[-words.count("RUN") :] if "RUN" in words else []
        return [found.pop(0) if word == "RUN" else word for word in words]


def ours(session: DocumentSession, words: list[str], environment: dict[str, str]) -> str:
    """A command of ours: to its end, or until it serves."""
    if _verb(words) in ("ui", "serve"):
        return _until_it_serves(session, words, environment)
    if _verb(words) in ("approve", "label"):
        return _answered(session, words, environment)
    session.job.command.environment |= session.variables | environment
    return session.job.command(*words[1:]).succeeded().out


def _verb(words: list[str]) -> str:
    """The command that words name, without its group."""
    in_group = words[1] in ("people", "serve") and len(words) > 2 and not words[2].startswith("-")
    return words[2] if in_group else words[1]


def _answered(session: DocumentSession, words: list[str], environment: dict[str, str]) -> str:
    """A command that asks a person, who says yes or that the left one is better, and then goes."""
    says = {"approve": "y\n", "label": "a\nq\n"}[_verb(words)]
    session.job.command.environment |= session.variables | environment
    return session.job.command.start(*words[1:], typed=says).wait().succeeded().out


def _until_it_serves(session: DocumentSession, words: list[str], environment: dict[str, str]) -> str:
    """A command that serves until Ctrl-C: seen to serve, and interrupted."""
    port = str(free_port())
    more = ["--port", port] if _verb(words) == "ui" else []
    session.job.command.environment |= session.variables | environment | {"PREFECT_UI_ENABLED": "0"}
    running = session.job.command.start(*words[1:], *more)
    until(lambda: running.has_ended or _serves(_verb(words), port, running), f"{' '.join(words)} serves", LONGEST_S)
    assert not running.has_ended, running.out + running.err
    running.signal(signal.SIGINT)
    ended = running.wait(LONGEST_S)
    return ended.out + ended.err


def _serves(command: str, port: str, running: Running) -> bool:
    if command == "serve":
        return SERVED in running.out + running.err
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/health", timeout=5):
            return True
    except (urllib.error.URLError, OSError):
        return False


def prefects(session: DocumentSession, words: list[str], environment: dict[str, str]) -> str:
    """A command of Prefect's, typed in the project's folder with nobody to answer questions; a worker looks once."""
    once = ["--run-once"] if words[1:3] == ["worker", "start"] else []
    session.job.command.environment |= session.variables | environment
    return session.job.command.prefect(*words[1:], *once).succeeded().out


def exported(session: DocumentSession, words: list[str], _environment: dict[str, str]) -> str:
    """Variables that hold for the commands that follow; a placeholder is what the machine has already."""
    given = dict(word.split("=", 1) for word in words[1:])
    session.variables |= {name: value for name, value in given.items() if value != PLACEHOLDER}
    assert all(name in session.variables or name in os.environ for name in given), given
    return ""


def forget_pools(api: str) -> None:
    """Take away what documents make that has a name of its own, so that the next document can make it too."""
    for kind, names in MADE.items():
        for name in names:
            request = urllib.request.Request(f"{api}/{kind}/{name}", method="DELETE")
            with suppress(urllib.error.HTTPError), urllib.request.urlopen(request, timeout=60):
                pass


KINDS = {"kasasagi": ours, "prefect": prefects, "export": exported}
