"""Whether a run may publish to the place that its recipe names: found before anything is paid."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from kasasagi.blocks.destinations import DestinationError
from kasasagi.blocks.workspace.runs import Workspace
from kasasagi.tasks.publish.config import PublishConfig, PublishError
from kasasagi.tasks.publish.places.folder import hidden_name, refuse_foreign, unwritable
from kasasagi.tasks.publish.places.remote import check_address


def path_problems(config: PublishConfig, workspace: Workspace, base: Path) -> list[str]:
    """Return why a run cannot publish to the folder or the address of its recipe; nothing is left there.

    Args:
        config: The publication, with the day and the run in its path (`PublishConfig.for_run`).
        workspace: The workspace of the run.
        base: The folder of the recipe.
    """
    try:
        target, address = config.folder(), config.address()
        if target is not None:
            refuse_place(target, workspace, base)
            rehearse(target.resolve())
        if address is not None:
            check_address(address)
    except (PublishError, DestinationError) as error:
        return [f"publish.path: {error}"]
    return []


def refuse_place(target: Path, workspace: Workspace, base: Path) -> None:
    """Raise PublishError where a folder holds more than a dataset, since publishing replaces all of it."""
    resolved = target.resolve()
    for folder, what in _precious(workspace, base):
        if resolved == folder or resolved in folder.parents:
            holds = "is" if resolved == folder else "holds"
            raise PublishError(
                f"{target} {holds} {what}, and publishing replaces a whole folder; "
                "name a folder of its own, as out/my-dataset"
            )
    for folder in workspace.own_folders:
        if resolved == folder or folder in resolved.parents:
            raise PublishError(
                f"{target} lies in {folder}, which is the workspace's own; name a folder elsewhere, as out/my-dataset"
            )


def _precious(workspace: Workspace, base: Path) -> Iterator[tuple[Path, str]]:
    """Folders that are nobody's dataset, each with what it is."""
    yield Path.cwd().resolve(), "the current folder"
    yield workspace.folder, "the workspace"
    yield base.resolve(), "the recipe's folder"
    yield Path("~").expanduser().resolve(), "the home folder"
    yield Path(os.sep).resolve(), "the root of the file system"


def rehearse(target: Path) -> None:
    """Look whether a target may be replaced, and make and remove the folders that a publication would make.

    Raises:
        PublishError: If that cannot be done.
    """
    try:
        refuse_foreign(target)
        there = next(folder for folder in target.parents if folder.exists())
        trial = Path(tempfile.mkdtemp(prefix=".kasasagi-check-", dir=there))
        try:
            folder = trial / target.parent.relative_to(there)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / hidden_name(target).name).mkdir()
        finally:
            shutil.rmtree(trial, ignore_errors=True)
    except OSError as error:
        raise unwritable(target, error) from error
