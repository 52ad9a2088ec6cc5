"""The batches of a workspace that wait at a server: what is written down of them, and how one is broken off."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import openai

from blocks.batch_lane import FOLDER
from blocks.batch_notes import BatchNote, BatchNotes
from blocks.batch_places import BatchFolder, BatchServer
from blocks.models import BatchConfig, OpenAIModel, missing_key
from blocks.openai_endpoint import OpenAIEndpoint, read_failure
from blocks.workspace import Workspace
from flows.errors import KasasagiError, UsageError


def waiting(workspace: Workspace) -> list[BatchNote]:
    """The batches that are not settled yet, the earliest first."""
    return BatchNotes(workspace.ledger_folder / FOLDER).all()


def named(workspace: Workspace, name: str) -> BatchNote:
    """The batch of that name, of that id at its server, or of a beginning of either. Raises UsageError."""
    notes = waiting(workspace)
    found = [note for note in notes if note.name.startswith(name) or (note.batch_id or "").startswith(name)]
    if len(found) != 1:
        known = ", ".join(note.batch_id or note.name for note in notes[:10]) or "none"
        raise UsageError(f"there is no single batch {name!r} in {workspace.folder}; waiting are: {known}")
    return found[0]


def cancel(notes: Sequence[BatchNote]) -> None:
    """Ask the servers to break batches off; what they have answered is kept by the next run. Raises KasasagiError."""
    asyncio.run(_cancel_all(notes))


async def _cancel_all(notes: Sequence[BatchNote]) -> None:
    for note in notes:
        if note.batch_id is None:
            raise KasasagiError(f"the batch {note.name} is not handed over yet, so there is nothing to cancel")
        if "://" in note.address:
            await _cancel_at_server(note, note.batch_id)
        else:
            await BatchFolder(Path(note.address)).cancel(note.batch_id)


async def _cancel_at_server(note: BatchNote, batch_id: str) -> None:
    model = OpenAIModel(kind="openai", model=note.identity, base_url=note.address, api_key_env=note.api_key_env)
    if (variable := missing_key(model)) is not None:
        raise KasasagiError(f"the environment variable {variable} is not set; set it to the key of {note.address}")
    endpoint = OpenAIEndpoint.connect(model, note.address)
    try:
        await BatchServer(endpoint.client, BatchConfig()).cancel(batch_id)
    except openai.APIStatusError as error:
        words = endpoint.without_key(read_failure(error).detail)
        raise KasasagiError(f"{note.address} does not cancel {batch_id}: it answers {words}") from error
    except openai.APIError as error:
        raise KasasagiError(f"nobody answers at {note.address}, so {batch_id} goes on; try again later") from error
    finally:
        await endpoint.close()
