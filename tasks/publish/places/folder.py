"""A folder that is replaced whole or not at all, and never the folder of somebody else.

The new folder is built beside the target, under a hidden name of its own. An earlier target is renamed, the new
one renamed in, the earlier one removed. Whoever is killed between the two renames leaves the earlier folder under its
hidden name, from where `recover` puts it back.

Several processes may publish to one target at once, from several workspaces and machines: a lock on the folder around
the target lets one of them at a time look and rename, and a lock on a half-built folder shows that it is still built.
"""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import orjson
import psutil

from kasasagi.tasks.publish.config import PublishError
from kasasagi.tasks.publish.places.folder_lock import is_locked, locked_folder
from kasasagi.tasks.publish.places.foreign import changed_files, foreign_files

MANIFEST = "manifest.json"
LAYOUT = 1
MARKER = "kasasagi"
FILES_NAMED = 3


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """Return the manifest of a folder that was published here, else None."""
    try:
        return as_manifest((folder / MANIFEST).read_bytes())
    except OSError:
        return None


def as_manifest(content: bytes) -> dict[str, Any] | None:
    """Return the manifest that a file of its name holds, else None."""
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) and MARKER in found and isinstance(found.get("files"), dict) else None


def recover(target: Path) -> None:
    """Undo what a publication that was killed left behind: an earlier folder comes back, half-built ones go.

    Raises:
        OSError: If the folder beside the target cannot be written.
    """
    target = target.resolve()
    with locked_folder(target.parent):
        _recover(target)


def _recover(target: Path) -> None:
    old = _aside(target)
    if old.exists():
        if read_manifest(target) is not None:
            shutil.rmtree(old)
        elif not target.exists() or (target.is_dir() and not any(target.iterdir())):
            os.rename(old, target)
    for left in target.parent.glob(f".{_escape_glob(target.name)}.kasasagi-new-*"):
        if not _being_built(left):
            shutil.rmtree(left)


def refuse_foreign(target: Path) -> None:
    """Raise PublishError where replacing the target would cost a person something.

    That is a file at any depth that was not published here, or a published one that was changed since.
    """
    if not target.exists():
        return
    if not target.is_dir():
        raise PublishError(f"{target} is a file, and a dataset is a folder: name another path")
    if os.path.ismount(target):
        raise PublishError(
            f"{target} is a mount point, which cannot be replaced as a whole: name a folder in it, as {target / 'out'}"
        )
    manifest = read_manifest(target)
    published = manifest["files"] if manifest else {}
    if foreign := foreign_files(target, {*published, MANIFEST} if manifest else set()):
        raise PublishError(
            f"{target} contains files that kasasagi did not publish there ({_join_names(foreign)}), so it is not "
            "replaced: move them away or name another path"
        )
    if changed := changed_files(target, published, target / MANIFEST):
        raise PublishError(
            f"{target} holds files that were changed since they were published ({_join_names(changed)}), so it is left "
            "alone: move them away or name another path"
        )


def _join_names(names: list[str]) -> str:
    return ", ".join(names[:FILES_NAMED]) + (", …" if len(names) > FILES_NAMED else "")


@contextmanager
def replace_folder(target: Path) -> Iterator[Path]:
    """An empty folder to fill; when the block ends well it takes the target's place, else it vanishes.

    Raises:
        PublishError: If the target is not ours or cannot be written; then all is as it was.
    """
    target = target.resolve()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _building(target) as new:
            yield new
            _sync_tree(new)
            with locked_folder(target.parent):
                _recover(target)
                refuse_foreign(target)
                _swap(new, target)
    except OSError as error:
        raise unwritable(target, error) from error


@contextmanager
def _building(target: Path) -> Iterator[Path]:
    """An empty folder beside the target, locked from its beginning, so that nobody takes it for left behind."""
    new = hidden_name(target)
    with ExitStack() as stack:
        with locked_folder(target.parent):
            _recover(target)
            refuse_foreign(target)
            stack.callback(shutil.rmtree, new, ignore_errors=True)
            new.mkdir()
            stack.enter_context(locked_folder(new))
        yield new


def hidden_name(target: Path) -> Path:
    """Return a name beside the target for a folder that is being built."""
    return target.with_name(f".{target.name}.kasasagi-new-{os.getpid()}-{secrets.token_hex(4)}")


def unwritable(target: Path, error: OSError) -> PublishError:
    """Return the error of a target that cannot be written."""
    return PublishError(
        f"{target} cannot be written ({error.strerror or error}), so nothing is published: "
        "make room or make it writable, or name another path"
    )


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
    """Return where an earlier folder waits while the new one takes its place."""
    return target.with_name(f".{target.name}.kasasagi-old")


def _being_built(folder: Path) -> bool:
    """Return whether somebody still fills a half-built folder: its lock is held, or another process of that number
    lives.

    The lock tells it of threads of this process and of containers, where numbers do not; a storage that knows no locks
    is left with the numbers.
    """
    number = folder.name.rsplit(".kasasagi-new-", 1)[1].split("-")[0]
    lives = number.isdigit() and int(number) != os.getpid() and psutil.pid_exists(int(number))
    return lives or is_locked(folder)


def _escape_glob(name: str) -> str:
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
