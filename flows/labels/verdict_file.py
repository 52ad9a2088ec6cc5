"""The verdicts of a workspace: a file of lines, one a verdict, in which a later line on the same two texts counts."""

import os
import time
from pathlib import Path
from typing import Literal

import orjson
from pydantic import Field, ValidationError

from kasasagi.blocks.models.kinds import Config
from kasasagi.blocks.workspace.runs import Workspace

Choice = Literal["left", "right", "tie", "skip"]


class Label(Config):
    """A person's verdict on two responses to one prompt."""

    prompt_id: str = Field(description="The prompt.")
    left: str = Field(description="The response that stood at the left, a.")
    right: str = Field(description="The response that stood at the right, b.")
    choice: Choice = Field(description="Which is better; or a tie, or no verdict.")
    run: str = Field(description="The run whose pair it was.")
    at: float = Field(description="Seconds since the epoch.")

    @property
    def texts(self) -> frozenset[str]:
        """The two responses, whichever stood where."""
        return frozenset((self.left, self.right))

    @property
    def better(self) -> str | None:
        """The response that is better; None for a tie or no verdict."""
        return {"left": self.left, "right": self.right}.get(self.choice)


class Labels:
    """All verdicts of a workspace, by the two responses that they are about; so they hold for other runs' pairs too."""

    def __init__(self, workspace: Workspace) -> None:
        self.file: Path = workspace.folder / "labels.jsonl"
        self.known: dict[frozenset[str], Label] = {label.texts: label for label in self._read()}

    def _read(self) -> list[Label]:
        """Return the verdicts in the file; a line that was cut off when the machine died is not there."""
        if not self.file.exists():
            return []
        found = []
        for line in self.file.read_bytes().splitlines():
            try:
                found.append(Label.model_validate_json(line))
            except ValidationError:
                continue
        return found

    def add(self, run: str, prompt_id: str, left: str, right: str, choice: Choice) -> Label:
        """Keep a verdict; it is on the disk when this returns.

        Raises:
            OSError: If it cannot be written.
        """
        label = Label(prompt_id=prompt_id, left=left, right=right, choice=choice, run=run, at=time.time())
        with self.file.open("ab") as file:
            file.write(b"\n" * _is_torn(self.file) + orjson.dumps(label.model_dump()) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self.known[label.texts] = label
        return label


def _is_torn(file: Path) -> bool:
    """Return whether the last line has no end."""
    size = file.stat().st_size
    with file.open("rb") as existing:
        existing.seek(max(0, size - 1))
        return existing.read(1) not in (b"", b"\n")
