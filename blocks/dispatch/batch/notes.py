"""What is written down of batches that wait at a server, before a caller waits: a restart finds them again.

Each batch is two files beside the ledger: NAME.jsonl, the requests as they are handed over, and NAME.json, the note.
While a run hands it over it holds NAME.lock, which the system takes from a process that dies.
"""

import os
import secrets
import time
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import orjson
from filelock import FileLock, Timeout
from pydantic import Field, ValidationError

from kasasagi.blocks.models.kinds import Config
from kasasagi.blocks.processes import start_time

FOLDER = "batches"
URLS = {"messages": "/v1/chat/completions", "prompt": "/v1/completions", "input": "/v1/embeddings"}


def new_name() -> str:
    """Return a name for a batch that no other has."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(8)}"


class BatchNote(Config):
    """One batch: what it asks, where, and how far its handing over has come."""

    name: str = Field(description="Our name for it, which the server gets too.")
    address: str = Field(description="The server's address, or the folder that the files lie in.")
    identity: str = Field(description="What the ledger knows the model by.")
    api_key_env: str | None = Field(None, description="Name of the environment variable that holds the key.")
    url: str = Field(description="The endpoint that all its requests go to.")
    keys: tuple[str, ...] = Field(description="The ledger keys of its requests, which are their custom_ids.")
    made: float = Field(description="When it was made, in seconds since the epoch.")
    pid: int = Field(description="The process that hands it over, for people.")
    pid_started: float = Field(description="When that process started.")
    batch_id: str | None = Field(None, description="The server's id; None until the server has taken it.")


class BatchNotes:
    """The notes of a workspace."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def requests_file(self, name: str) -> Path:
        """Return where the requests of a batch lie, one JSON object a line; `vllm run-batch -i` reads it too."""
        return self.folder / f"{name}.jsonl"

    def handing_over(self, name: str) -> FileLock:
        """Return the lock that a run holds while it hands a batch over; its folder is made. Raises OSError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return FileLock(self._lock_file(name), timeout=0, thread_local=False)

    def is_handed_over(self, note: BatchNote) -> bool:
        """Return whether a run that lives, of this process or another, is still handing a batch over."""
        if note.batch_id is not None or not self._lock_file(note.name).exists():
            return False
        try:
            with self.handing_over(note.name):
                return False
        except Timeout:
            return True

    def begin(
        self,
        address: str,
        identity: str,
        api_key_env: str | None,
        url: str,
        lines: Iterable[tuple[str, bytes]],
        name: str | None = None,
    ) -> BatchNote:
        """Record a batch before it is sent; without a name it gets a new one. Raises OSError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        name = name or new_name()
        keys = []
        with self.requests_file(name).open("wb") as file:
            for key, line in lines:
                keys.append(key)
                file.write(line)
            file.flush()
            os.fsync(file.fileno())
        note = BatchNote(
            name=name,
            address=address,
            identity=identity,
            api_key_env=api_key_env,
            url=url,
            keys=tuple(keys),
            made=time.time(),
            pid=os.getpid(),
            pid_started=start_time(),
        )
        self.save(note)
        return note

    def save(self, note: BatchNote) -> None:
        """Write a note, whole or not at all, so that it survives a power cut. Raises OSError."""
        new = self.folder / f"{note.name}.json.new"
        with new.open("wb") as file:
            file.write(note.model_dump_json().encode())
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.folder / f"{note.name}.json")

    def read(self, name: str) -> BatchNote | None:
        """Return a note; None where it is gone or is none."""
        try:
            return BatchNote.model_validate_json((self.folder / f"{name}.json").read_bytes())
        except (OSError, ValidationError):
            return None

    def is_gone(self, name: str) -> bool:
        """Return whether there is no note of that name any more.

        Raises:
            OSError: If that cannot be seen.
        """
        return not (self.folder / f"{name}.json").exists()

    def all(self, besides: Collection[str] = ()) -> list[BatchNote]:
        """Return all batches that are not settled yet, the earliest first; besides those of some names."""
        names = (file.stem for file in sorted(self.folder.glob("*.json")))
        found = (self.read(name) for name in names if name not in besides)
        return [note for note in found if note is not None]

    def forget(self, note: BatchNote) -> None:
        """Remove what is written down of a batch whose answers are kept."""
        (self.folder / f"{note.name}.json").unlink(missing_ok=True)
        self.requests_file(note.name).unlink(missing_ok=True)
        self._lock_file(note.name).unlink(missing_ok=True)

    def _lock_file(self, name: str) -> Path:
        return self.folder / f"{name}.lock"


def request_line(key: str, url: str, body: dict[str, Any]) -> bytes:
    """Return one request of a batch as a line of its file."""
    return orjson.dumps({"custom_id": key, "method": "POST", "url": url, "body": body}) + b"\n"
