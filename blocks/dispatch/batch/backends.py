"""The backends that take batches: OpenAI's Batch API, or a folder that `vllm run-batch` works on."""

import os
import shutil
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn, Protocol

import openai
import orjson

from kasasagi.blocks.dispatch.batch.notes import BatchNote
from kasasagi.blocks.endpoints.bounded_client import LARGEST_REPLY_BYTES
from kasasagi.blocks.models.hidden_keys import KeyMask
from kasasagi.blocks.models.kinds import BatchConfig

OUR_NAME = "kasasagi"
PAGES = 5
IN_A_PAGE = 100
LISTS_NONE = (405, 501)
"""What a server answers that takes batches, and shows one by its id, but has no list of them."""
Ending = Literal["completed", "expired", "cancelled", "failed"]
ENDINGS: tuple[Ending, ...] = ("completed", "expired", "cancelled", "failed")


class LostBatchError(Exception):
    """The server answers, and does not have a batch, or its results, any more."""


class UnexpectedReplyError(Exception):
    """The server answered, but with nothing that a batch could be: it may pass."""


@dataclass(frozen=True, slots=True)
class BatchStatus:
    """The state of a batch: how it ended, if it did, where its results are, and the server's message."""

    ending: Ending | None
    results: tuple[str, ...] = ()
    words: str = ""
    too_much: bool = False


class BatchBackend(Protocol):
    """A server or a folder that takes batches."""

    async def hand_over(self, note: BatchNote, requests: Path) -> str:
        """Hand a batch over and give its id there."""

    async def find(self, note: BatchNote) -> str | None:
        """Return the id of a batch whose handing over was not confirmed; None where the backend has none, or has no
        list.
        """

    async def status(self, batch_id: str) -> BatchStatus:
        """Return the state of a batch. Raises LostBatchError."""

    def results(self, name: str) -> AsyncIterator[bytes]:
        """Return the lines of a file of results. Raises LostBatchError."""

    async def cancel(self, batch_id: str) -> None:
        """Ask for a batch to be broken off; what is answered stays."""


class BatchServer:
    """A server that has OpenAI's Batch API."""

    def __init__(self, client: openai.AsyncOpenAI, config: BatchConfig) -> None:
        self._client = client
        self._config = config

    async def hand_over(self, note: BatchNote, requests: Path) -> str:
        """Upload the requests and make a batch of them. Raises openai.APIError, UnexpectedReplyError."""
        file = await self._client.files.create(file=requests, purpose="batch")
        window: Any = self._config.window
        url: Any = note.url
        batch = await self._client.batches.create(
            input_file_id=file.id, endpoint=url, completion_window=window, metadata={OUR_NAME: note.name}
        )
        if not isinstance(batch.id, str):
            raise UnexpectedReplyError(f"a batch without an id: {batch.id!r}")
        return batch.id

    async def find(self, note: BatchNote) -> str | None:
        """Look for our name among the server's latest batches. Raises openai.APIError."""
        try:
            page = await self._client.batches.list(limit=IN_A_PAGE)
        except openai.APIStatusError as error:
            if error.status_code in LISTS_NONE:
                return None
            raise
        for _ in range(PAGES):
            for batch in page.data or ():
                if isinstance(batch.metadata, dict) and batch.metadata.get(OUR_NAME) == note.name:
                    return batch.id
            if not page.has_next_page():
                break
            page = await page.get_next_page()
        return None

    async def status(self, batch_id: str) -> BatchStatus:
        """Fetch its state. Raises openai.APIError, UnexpectedReplyError, LostBatchError."""
        try:
            batch = await self._client.batches.retrieve(batch_id)
        except openai.NotFoundError as error:
            await self._lost(batch_id, error)
        return read_batch(batch)

    async def results(self, name: str) -> AsyncIterator[bytes]:
        """Fetch a file, line by line. Raises openai.APIError, UnexpectedReplyError, LostBatchError."""
        mask = KeyMask(self._client.api_key)
        try:
            async with self._client.files.with_streaming_response.content(name) as response:
                rest = b""
                async for piece in response.iter_bytes():
                    *lines, rest = (rest + piece).split(b"\n")
                    for line in lines:
                        yield mask.body(line)
                    if len(rest) > LARGEST_REPLY_BYTES:
                        raise UnexpectedReplyError(f"a result of more than {LARGEST_REPLY_BYTES // 2**20} MB")
                yield mask.body(rest)
        except openai.NotFoundError as error:
            await self._lost(name, error)

    async def cancel(self, batch_id: str) -> None:
        """Ask the server to break it off; one that cannot do so answers 404 too. Raises openai.APIError."""
        await self._client.batches.cancel(batch_id)

    async def _lost(self, name: str, error: openai.NotFoundError) -> NoReturn:
        """Say that a batch or a file is gone, once a server that knows of batches has confirmed it.

        A server that knows nothing of batches, such as a wrong address, gives 404 to their list too, and
        openai.NotFoundError is raised: that tells nothing about ours. One that refuses the list alone knows the path.
        """
        try:
            await self._client.batches.list(limit=1)
        except openai.APIStatusError as refusal:
            if refusal.status_code not in LISTS_NONE:
                raise
        raise LostBatchError(name) from error


def read_batch(batch: Any) -> BatchStatus:
    """Return the state in a server's reply.

    Raises:
        UnexpectedReplyError: If the reply is no batch.
    """
    status = getattr(batch, "status", None)
    if not isinstance(status, str):
        raise UnexpectedReplyError(f"a batch without a status: {str(batch)[:80]}")
    names = (getattr(batch, "output_file_id", None), getattr(batch, "error_file_id", None))
    errors = getattr(getattr(batch, "errors", None), "data", None)
    errors = [error for error in errors if hasattr(error, "code")] if isinstance(errors, list) else []
    return BatchStatus(
        ending=next((ending for ending in ENDINGS if ending == status), None),
        results=tuple(name for name in names if isinstance(name, str) and name),
        words="; ".join(f"{error.code}: {getattr(error, 'message', '')}" for error in errors[:3]),
        too_much=any(error.code == "token_limit_exceeded" for error in errors),
    )


class BatchFolder:
    """A folder: NAME.jsonl is laid there, and NAME.results.jsonl is waited for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sizes: dict[str, int] = {}

    async def hand_over(self, note: BatchNote, requests: Path) -> str:
        """Lay the file of requests into the folder. Raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        new = self._folder / f"{note.name}.jsonl.new"
        shutil.copyfile(requests, new)
        os.replace(new, self._folder / f"{note.name}.jsonl")
        return note.name

    async def find(self, note: BatchNote) -> str | None:
        """Return whether it lies there."""
        return note.name if (self._folder / f"{note.name}.jsonl").exists() else None

    async def status(self, batch_id: str) -> BatchStatus:
        """Return whether the results are there and no longer grow: two calls must find the same whole lines."""
        requests, results = self._folder / f"{batch_id}.jsonl", self._folder / f"{batch_id}.results.jsonl"
        size = results.stat().st_size if results.exists() else 0
        settled = size > 0 and self._sizes.get(batch_id) == size and _ends_whole(results)
        self._sizes[batch_id] = size
        if settled:
            return BatchStatus("completed", (str(results),))
        if not requests.exists() and not size:
            raise LostBatchError(batch_id)
        return BatchStatus(None)

    async def results(self, name: str) -> AsyncIterator[bytes]:
        """Yield the lines of a file."""
        for line in _lines(Path(name)):
            yield line

    async def cancel(self, batch_id: str) -> None:
        """Take the requests away."""
        (self._folder / f"{batch_id}.jsonl").unlink(missing_ok=True)


def _lines(file: Path) -> Iterable[bytes]:
    with file.open("rb") as lines:
        yield from lines


def _ends_whole(file: Path) -> bool:
    """Return whether the last line of a file is whole JSON."""
    with file.open("rb") as lines:
        last = b""
        for line in lines:
            last = line if line.strip() else last
    try:
        return isinstance(orjson.loads(last), dict)
    except orjson.JSONDecodeError:
        return False
