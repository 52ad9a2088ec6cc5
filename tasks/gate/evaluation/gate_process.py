"""A process of its own that judges stages, so that Great Expectations takes neither a run's memory nor its lock.

It reads one question a line and writes one answer a line, both in JSON, and ends when nobody asks any more.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

import orjson
from pydantic import Field

from kasasagi.blocks.models.kinds import Config
from kasasagi.blocks.workspace.runs import Run, RunHandle, Workspace
from kasasagi.tasks.gate.evaluation.evaluate import import_library, is_library_imported, judge_together
from kasasagi.tasks.gate.evaluation.known_outcomes import GateScope
from kasasagi.tasks.gate.expectation import Expectation
from kasasagi.tasks.gate.outcome import Outcome
from kasasagi.tasks.tables.run_tables import tables_of

END_SECONDS = 10.0


class GateQuestion(Config):
    """What is judged: the expectations of one stage, on the tables of some of a run's chunks."""

    workspace: Path = Field(description="Folder of the workspace.")
    run: str = Field(description="The run.")
    handles: list[RunHandle] = Field(description="The chunks whose tables are judged.")
    scope: GateScope = Field(description="Whether they are the first chunk or all.")
    expectations: dict[int, Expectation] = Field(description="The expectations of one stage, by number.")

    def outcomes(self) -> dict[int, Outcome]:
        """Return how the expectations came out, by number."""
        with tables_of(Run(Workspace(self.workspace), self.run), self.handles) as tables:
            return judge_together(tables, self.scope, self.expectations)


class GateProcess:
    """Judges the stages of runs; it is begun once it is needed, or beforehand while something else is waited for."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._beginning = threading.Lock()
        self._asking = threading.Lock()
        self._ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """End the process; it answers what it is asked at this moment."""
        with self._beginning:
            self._ended, process = True, self._process
        if process is None or process.stdin is None:
            return
        with suppress(OSError):
            process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(END_SECONDS)
        process.kill()

    def begin(self) -> None:
        """Begin the process, unless it is there already or this one can judge at no cost; it imports the library."""
        with self._beginning:
            if self._process is None and not self._ended and not is_library_imported():
                command = [sys.executable, "-P", "-m", "kasasagi.tasks.gate.evaluation.gate_process"]
                with suppress(OSError):  # then this process judges
                    self._process = subprocess.Popen(
                        command,
                        stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE,
                        stderr=subprocess.DEVNULL,
                        start_new_session=True,  # an interrupt at the terminal is for the run alone
                    )

    def begin_where_all_is_new(self, workspace: Workspace) -> None:
        """Begin the process where nothing was ever judged, so that the first gate would wait for it."""
        if not workspace.gate_outcomes_folder.exists():
            self.begin()

    def outcomes(
        self, run: Run, handles: Sequence[RunHandle], scope: GateScope, expectations: Mapping[int, Expectation]
    ) -> dict[int, Outcome] | None:
        """Return the outcomes of expectations on one stage, by number; None where the process cannot judge.

        Args:
            run: The run.
            handles: Its chunks that are judged.
            scope: Whether they are the first chunk or all.
            expectations: The expectations by number.
        """
        self.begin()
        if self._process is None:
            return None
        question = GateQuestion(
            workspace=run.workspace.folder,
            run=run.id,
            handles=list(handles),
            scope=scope,
            expectations=dict(expectations),
        )
        try:
            answer = orjson.loads(self._ask(self._process, question.model_dump_json().encode()))
            return {int(number): Outcome.model_validate(one) for number, one in answer.items()}
        except (OSError, ValueError):
            return None

    def _ask(self, process: subprocess.Popen[bytes], question: bytes) -> bytes:
        """Return the answer to a question, empty if the process ends over it. Raises OSError, ValueError."""
        with self._asking:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(question + b"\n")
            process.stdin.flush()
            return process.stdout.readline()


def answer_questions() -> None:
    """Answer what the parent asks until it asks no more; a question without an answer is answered by an empty line."""
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as answers:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what the library prints is no answer
        import_library()
        for line in sys.stdin.buffer:
            try:
                found = GateQuestion.model_validate_json(line).outcomes()
                answer = orjson.dumps({str(number): one.model_dump() for number, one in found.items()})
            except Exception:  # the parent judges by itself, and says what is wrong
                answer = b""
            answers.write(answer + b"\n")
            answers.flush()


if __name__ == "__main__":
    with suppress(BrokenPipeError):
        answer_questions()
    os._exit(0)  # the libraries take a second to be taken apart, and the run waits for the end
