"""The real command in processes of its own: started, waited for, and known afterwards by code and words."""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parents[2]
LONGEST_S = 240.0


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """What stood on standard error behind the command's name: the sentence of its failure."""
        sentences = [line for line in self.err.splitlines() if line.startswith("kasasagi: ")]
        assert len(sentences) == 1, f"there is not one sentence but {sentences} in: {self.err}"
        return sentences[0].removeprefix("kasasagi: ")

    def succeeded(self) -> "Ended":
        """This, if the exit code is 0."""
        assert self.code == 0, f"exit code {self.code}\n{self.out}\n{self.err}"
        return self

    def failed(self, code: int) -> str:
        """The sentence of a failure of that exit code, said without a traceback."""
        assert self.code == code, f"exit code {self.code}, not {code}\n{self.out}\n{self.err}"
        assert "Traceback" not in self.err + self.out, self.err
        return self.said


class Running:
    """A command that runs; its output goes to files, so that no pipe ever fills."""

    def __init__(self, process: "subprocess.Popen[bytes]", out: Path, err: Path) -> None:
        self.process = process
        self._out, self._err = out, err

    @property
    def pid(self) -> int:
        """The process id, which is also its group's."""
        return self.process.pid

    @property
    def has_ended(self) -> bool:
        """Whether the process is gone."""
        return self.process.poll() is not None

    @property
    def err(self) -> str:
        """What it has said on standard error so far."""
        return self._err.read_text(errors="replace")

    def signal(self, number: int) -> None:
        """Send a signal to the command alone, as `kill` does."""
        self.process.send_signal(number)

    def wait(self, seconds: float = LONGEST_S) -> Ended:
        """Wait for the end. Raises subprocess.TimeoutExpired."""
        code = self.process.wait(seconds)
        return Ended(code, self._out.read_text(errors="replace"), self.err)


class Command:
    """`kasasagi` as a user calls it, with an environment and a current folder."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.environment = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
        self._count = 0
        self._running: list[Running] = []

    def start(self, *arguments: object, file_bytes: int | None = None) -> Running:
        """Start a command; file_bytes is the largest file that it may write."""
        self._count += 1
        home = self.folder / "said"
        home.mkdir(exist_ok=True)
        out, err = home / f"{self._count}.out", home / f"{self._count}.err"
        with out.open("wb") as out_file, err.open("wb") as err_file:
            process = subprocess.Popen(
                [sys.executable, "-m", "flows.cli", *map(str, arguments)],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=out_file,
                stderr=err_file,
                preexec_fn=None if file_bytes is None else partial(_limit_files, file_bytes),
            )
        running = Running(process, out, err)
        self._running.append(running)
        return running

    def __call__(self, *arguments: object, **options: int) -> Ended:
        """Run a command to its end."""
        return self.start(*arguments, **options).wait()

    def together(self, *commands: Sequence[object]) -> list[Ended]:
        """Run several commands at the same time, each to its end."""
        started = [self.start(*arguments) for arguments in commands]
        return [running.wait() for running in started]

    def stop(self) -> None:
        """Kill what still runs."""
        for running in self._running:
            if not running.has_ended:
                running.process.kill()
                running.process.wait()


def _limit_files(most: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


def until(holds: Callable[[], bool], what: str, seconds: float = 90.0) -> None:
    """Wait until a function says yes; fail if it does not in time."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"after {seconds:g} s still not: {what}"
        time.sleep(0.02)
