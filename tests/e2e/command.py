"""The real command in processes of its own: started, waited for, and known afterwards by code and words."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.e2e.warm import ROOT, Warmed

LONGEST_S = 240.0
IGNORING = ("sh", "-c", "trap '' INT; exec \"$@\"", "sh")


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def message(self) -> str:
        """What stood on standard error behind the command's name: the sentence of its failure."""
        sentences = [line for line in self.err.splitlines() if line.startswith("kasasagi: ")]
        assert len(sentences) == 1, f"there is not one sentence but {sentences} in: {self.err}"
        return sentences[0].removeprefix("kasasagi: ")

    def succeeded(self) -> "Ended":
        """This, if the exit code is 0."""
        assert self.code == 0, f"exit code {self.code}\n{self.out}\n{self.err}"
        return self

    def failed(self, code: int) -> str:
        """The sentence of a failure of that exit code, without a traceback."""
        assert self.code == code, f"exit code {self.code}, not {code}\n{self.out}\n{self.err}"
        assert "Traceback" not in self.err + self.out, self.err
        return self.message


class Process(Protocol):
    """What is needed of a process."""

    pid: int

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""

    def send_signal(self, number: int) -> None:
        """Send it a signal."""


class Running:
    """A command that runs; its output goes to files, so that no pipe ever fills."""

    def __init__(self, process: Process, files: tuple[Path, Path]) -> None:
        self.process = process
        self._files = files

    @property
    def has_ended(self) -> bool:
        """Whether the process is gone."""
        return self.process.poll() is not None

    @property
    def out(self) -> str:
        """Return its standard output so far."""
        return _text(self._files[0])

    @property
    def err(self) -> str:
        """Return its standard error so far."""
        return _text(self._files[1])

    def signal(self, number: int) -> None:
        """Send a signal to the command alone, as `kill` does."""
        self.process.send_signal(number)

    def wait(self, seconds: float = LONGEST_S) -> Ended:
        """Wait for the end; fail if it does not come in time."""
        until(lambda: self.has_ended, "the command has ended", seconds)
        code = self.process.poll()
        assert code is not None
        return Ended(code, self.out, self.err)


def _text(file: Path) -> str:
    """What a file holds; nothing, as long as the process that was forked has not opened it."""
    return file.read_text(errors="replace") if file.exists() else ""


class Command:
    """`kasasagi` as a user calls it, with an environment and a current folder; from nothing, unless warmed."""

    def __init__(self, folder: Path, environment: Mapping[str, str], warmed: Warmed | None = None) -> None:
        self.folder = folder
        # As wide as tables need, wherever the tests themselves run.
        self.environment = {**os.environ, "COLUMNS": "160", "PYTHONPATH": str(ROOT / "src"), **environment}
        self.ignores_ctrl_c = False
        self._warmed = warmed
        self._running: list[Running] = []

    def start(self, *arguments: object, file_bytes: int | None = None, typed: str = "") -> Running:
        """Start a command; file_bytes is the largest file that it may write, typed is what a person answers it."""
        files = self._files()
        words = [str(argument) for argument in arguments]
        if self._warmed is not None:
            process: Process = self._warmed.start(
                words, self.folder, self.environment, files, file_bytes=file_bytes, typed=typed
            )
        else:
            assert file_bytes is None, "only warmed commands can be limited"
            assert not typed, "only warmed commands can be answered"
            process = self._from_nothing(words, files)
        self._running.append(Running(process, files))
        return self._running[-1]

    def _files(self) -> tuple[Path, Path]:
        """The files of the next command's standard output and standard error."""
        home = self.folder / "output"
        home.mkdir(exist_ok=True)
        return home / f"{len(self._running)}.out", home / f"{len(self._running)}.err"

    def prefect(self, *arguments: str) -> Ended:
        """Run a command of Prefect's to its end, in the project's folder, with nobody to answer questions."""
        assert self._warmed is not None
        files = self._files()
        process = self._warmed.start(arguments, ROOT, self.environment, files, program="prefect")
        self._running.append(Running(process, files))
        return self._running[-1].wait()

    def _from_nothing(self, arguments: Sequence[str], files: tuple[Path, Path]) -> "subprocess.Popen[bytes]":
        with files[0].open("wb") as out, files[1].open("wb") as err:
            return subprocess.Popen(
                [
                    *(IGNORING if self.ignores_ctrl_c else []),
                    sys.executable,
                    "-m",
                    "kasasagi.flows.cli.app",
                    *arguments,
                ],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    def __call__(self, *arguments: object) -> Ended:
        """Run a command to its end."""
        return self.start(*arguments).wait()

    def together(self, *commands: Sequence[object]) -> list[Ended]:
        """Run several commands at the same time, each to its end."""
        started = [self.start(*arguments) for arguments in commands]
        return [running.wait() for running in started]

    def stop(self) -> None:
        """Kill what still runs."""
        for running in self._running:
            if not running.has_ended:
                running.signal(signal.SIGKILL)
                running.wait()


def until(holds: Callable[[], bool], what: str, seconds: float = LONGEST_S) -> None:
    """Wait until a function says yes; fail if it does not in time."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"after {seconds:g} s still not: {what}"
        time.sleep(0.02)
