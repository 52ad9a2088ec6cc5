"""A folder that is replaced whole or not at all, and never the folder of somebody else.

The new folder is built beside the target, under a hidden name of its own. An earlier target is renamed aside, the new
one renamed in, the earlier one removed. Whoever is killed between the two renames leaves the earlier folder under its
hidden name, from where `recover` puts it back.
"""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import psutil

from tasks.publish.config import PublishError

MANIFEST = "manifest.json"
LAYOUT = 1
MARKER = "kasasagi"
HARMLESS = frozenset({".DS_Store", ".ipynb_checkpoints"})


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of a folder that was published here, else None."""
    try:
        return as_manifest((folder / MANIFEST).read_bytes())
    except OSError:
        return None


def as_manifest(content: bytes) -> dict[str, Any] | None:
    """The manifest that a file of its name holds, else None."""
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) and MARKER in found and isinstance(found.get("files"), dict) else None


def recover(target: Path) -> None:
    """Undo what a publication that was killed left behind: an earlier folder comes back, half-built ones go.

    Raises OSError where the folder beside the target cannot be written.
    """
    target = target.resolve()
    old = _aside(target)
    if old.exists():
        if read_manifest(target) is not None:
            shutil.rmtree(old)
        elif not target.exists() or (target.is_dir() and not any(target.iterdir())):
            os.rename(old, target)
    for left in target.parent.glob(f".{_escaped(target.name)}.kasasagi-new-*"):
        if not _being_built(left):
            shutil.rmtree(left)


def refuse_foreign(target: Path) -> None:
    """Raise PublishError where the target holds anything that was not published here."""
    if not target.exists():
        return
    if not target.is_dir():
        raise PublishError(f"{target} is a file, and a dataset is a folder: name another path")
    manifest = read_manifest(target)
    ours = {Path(name).parts[0] for name in manifest["files"]} | {MANIFEST} if manifest else set()
    foreign = sorted(entry.name for entry in target.iterdir() if entry.name not in ours | HARMLESS)
    if foreign:
        shown = ", ".join(foreign[:3]) + (", …" if len(foreign) > 3 else "")
        raise PublishError(
            f"{target} holds what kasasagi did not publish there ({shown}), so it is left alone: "
            "move that away or name another path"
        )


@contextmanager
def replaced(target: Path) -> Iterator[Path]:
    """An empty folder to fill; when the block ends well it takes the target's place, else it vanishes.

    Raises PublishError where the target is not ours or cannot be written; then all is as it was.
    """
    target = target.resolve()
    new: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        recover(target)
        refuse_foreign(target)
        new = target.with_name(f".{target.name}.kasasagi-new-{os.getpid()}-{secrets.token_hex(4)}")
        new.mkdir()
        yield new
        _sync_tree(new)
        _swap(new, target)
    except OSError as error:
        raise PublishError(
            f"{target} cannot be written ({error.strerror or error}), so nothing is published: "
            "make room or make it writable, or name another path"
        ) from error
    finally:
        if new is not None:
            shutil.rmtree(new, ignore_errors=True)


def _swap(new: Path, target: Path) -> None:
    old = _aside(target)
    earlier = target.exists()
    if earlier:
        os.rename(target, old)
    try:
        os.rename(new, target)
    except BaseException:
        if earlier:
            os.rename(old, target)
        raise
    _sync(target.parent)
    shutil.rmtree(old, ignore_errors=True)


def _aside(target: Path) -> Path:
    """Where an earlier folder waits while the new one takes its place."""
    return target.with_name(f".{target.name}.kasasagi-old")


def _being_built(folder: Path) -> bool:
    """Whether the process that a half-built folder's name tells is alive, and not this one."""
    number = folder.name.rsplit(".kasasagi-new-", 1)[1].split("-")[0]
    return number.isdigit() and int(number) != os.getpid() and psutil.pid_exists(int(number))


def _escaped(name: str) -> str:
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in name)


def _sync_tree(folder: Path) -> None:
    for path in (*folder.rglob("*"), folder):
        _sync(path)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
