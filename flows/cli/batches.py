"""`kasasagi ledger batches`: what waits at servers that take questions in batches."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from kasasagi.flows.cli.ledger import workspace_of
from kasasagi.flows.cli.options import WorkspaceOption

if TYPE_CHECKING:
    from kasasagi.blocks.dispatch.batch.notes import BatchNote


def batches(
    context: typer.Context,
    cancel: Annotated[
        list[str] | None, typer.Option("--cancel", help="Cancel the batch with this id. Repeatable.")
    ] = None,
    workspace: WorkspaceOption = None,
) -> None:
    """List batches whose answers are not fetched yet; running the recipe again fetches them."""
    from kasasagi.flows.upkeep import batches as work

    place = workspace_of(context, workspace)
    if cancel:
        notes = [work.find_batch(place, name) for name in cancel]
        for note in notes:
            print(work.cancel(place, note))
        return
    _draw(work.waiting_batches(place), str(place.folder))


def _draw(notes: "Sequence[BatchNote]", folder: str) -> None:
    from kasasagi.flows.views.drawing import console, draw_rows, plain

    if not notes:
        console().print(plain(f"no batches wait in {folder}"), soft_wrap=True)
        return
    names = ["batch", "model", "requests", "since", "where"]
    rows = [
        [
            note.batch_id or f"{note.name} (not confirmed)",
            note.identity,
            len(note.keys),
            _when(note.made),
            note.address,
        ]
        for note in notes
    ]
    draw_rows(console(), names, rows)


def _when(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(moment))
