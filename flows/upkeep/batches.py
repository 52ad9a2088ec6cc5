"""The batches of a workspace that wait at a server: what is written down of them, and how one is broken off."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import openai

from kasasagi.blocks.dispatch.batch.backends import BatchBackend, BatchFolder, BatchServer, BatchStatus, LostBatchError
from kasasagi.blocks.dispatch.batch.notes import FOLDER, URLS, BatchNote, BatchNotes
from kasasagi.blocks.dispatch.batch.result_lines import in_portions, read_results, store_permanent
from kasasagi.blocks.dispatch.batch.retries import TRANSIENT_ERRORS
from kasasagi.blocks.endpoints.failures import read_failure
from kasasagi.blocks.endpoints.openai import OpenAIEndpoint
from kasasagi.blocks.endpoints.redirects import refused_redirect
from kasasagi.blocks.models.kinds import BatchConfig, OpenAIModel, missing_key
from kasasagi.blocks.models.llm import Completion
from kasasagi.blocks.workspace.runs import Workspace
from kasasagi.flows.errors import KasasagiError, UsageError

Clean = Callable[[Completion], Completion]
"""Takes a key out of what a server answers."""


def waiting_batches(workspace: Workspace) -> list[BatchNote]:
    """Return the batches that are not settled yet, the earliest first."""
    return BatchNotes(workspace.ledger_folder / FOLDER).all()


def find_batch(workspace: Workspace, name: str) -> BatchNote:
    """Return the batch of that name, of that id at its server, or of a beginning of either. Raises UsageError."""
    notes = waiting_batches(workspace)
    found = [note for note in notes if note.name.startswith(name) or (note.batch_id or "").startswith(name)]
    if len(found) != 1:
        known = ", ".join(note.batch_id or note.name for note in notes[:10]) or "none"
        raise UsageError(f"there is not exactly one batch {name!r} in {workspace.folder}; waiting are: {known}")
    return found[0]


def cancel(workspace: Workspace, note: BatchNote) -> str:
    """Break a batch off, keep what it answered, and forget its note once it has ended; says what became of it.

    The note stays where nobody could be asked, or the server is still breaking off. Raises KasasagiError, LedgerError.
    """
    if BatchNotes(workspace.ledger_folder / FOLDER).is_handed_over(note):
        raise KasasagiError(f"the batch {note.name} is being sent by process {note.pid}: stop that run first")
    if "://" in note.address:
        return asyncio.run(_cancel_at_server(workspace, note))
    return asyncio.run(_break_off(workspace, note, BatchFolder(Path(note.address)), lambda answer: answer))


async def _cancel_at_server(workspace: Workspace, note: BatchNote) -> str:
    model = OpenAIModel(kind="openai", model=note.identity, base_url=note.address, api_key_env=note.api_key_env)
    if (variable := missing_key(model)) is not None:
        raise KasasagiError(f"the environment variable {variable} is not set; set it to the key of {note.address}")
    endpoint = OpenAIEndpoint.connect(model, note.address)
    called = note.batch_id or note.name
    try:
        return await _break_off(workspace, note, BatchServer(endpoint.client, BatchConfig()), endpoint.mask_keys)
    except openai.APIStatusError as error:
        words = endpoint.without_key(read_failure(error).detail)
        raise KasasagiError(f"{note.address} does not cancel {called}: it answers {words}") from error
    except TRANSIENT_ERRORS as error:
        if (refused := refused_redirect(error)) is not None:
            raise KasasagiError(f"{called} cannot be cancelled: {refused.detail}") from error
        raise KasasagiError(f"cannot connect to {note.address}, so {called} continues; try again later") from error
    finally:
        await endpoint.close()


async def _break_off(workspace: Workspace, note: BatchNote, backend: BatchBackend, clean: Clean) -> str:
    """Raises LedgerError, and what the backend raises when it cannot be asked."""
    notes = BatchNotes(workspace.ledger_folder / FOLDER)
    batch_id = note.batch_id or await backend.find(note)
    try:
        status = await _status_of(backend, batch_id) if batch_id else None
    except openai.NotFoundError:
        notes.forget(note)
        return (
            f"{note.address} answers 404 to {batch_id} and to the list of its batches, so {batch_id} is removed from "
            "the list as you asked, although the batch may still exist; its recipe sends, and pays for, the requests "
            "again"
        )
    if batch_id and status and status.ending is None:
        await backend.cancel(batch_id)
        status = await _status_of(backend, batch_id)
    if status is None:
        notes.forget(note)
        return (
            f"{batch_id or note.name} is not found at {note.address}, so it is removed from the list; "
            "its recipe sends its requests again"
        )
    if status.ending is None:
        return f"{batch_id} is being cancelled; run its recipe again to fetch what it answered before"
    answered = 0
    for name in status.results:
        with suppress(LostBatchError):
            answered += await _keep(workspace, note, backend.results(name), clean)
    notes.forget(note)
    return f"{batch_id} is {status.ending}: {answered:,} of its {len(note.keys):,} requests are answered and kept"


async def _status_of(backend: BatchBackend, batch_id: str) -> BatchStatus | None:
    """Return the state of a batch; None where the backend does not have it."""
    with suppress(LostBatchError):
        return await backend.status(batch_id)
    return None


async def _keep(workspace: Workspace, note: BatchNote, results: AsyncIterator[bytes], clean: Clean) -> int:
    """Keep the lasting results of a file in the ledger; how many there are."""
    kept: set[str] = set()
    async for lines in in_portions(results):
        found = read_results(lines, frozenset(note.keys) - kept, embeds=note.url == URLS["input"])
        cleaned = {key: clean(one) for key, one in found.items()}
        kept.update(store_permanent(workspace.ledger_folder, note.identity, cleaned))
    return len(kept)
