"""To a storage that knows no rename: everything is uploaded beside the earlier dataset, then put in place.

A reader that follows manifest.json never takes a half-changed folder for a dataset: while files are put in place the
manifest says `incomplete`, and the final one is written last. Whoever is stopped before that leaves the earlier
dataset as it was; whoever is stopped meanwhile leaves an `incomplete` manifest, from which the next one resumes.
"""

import secrets
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

from kasasagi.blocks.destinations import DestinationError
from kasasagi.blocks.destinations.remote_folder import Store
from kasasagi.tasks.publish.config import PublishError
from kasasagi.tasks.publish.places.folder import MANIFEST, as_manifest, read_manifest

STAGED = ".kasasagi-new/"


def upload(folder: Path, address: str) -> None:
    """Upload a published folder to an address, where it replaces an earlier dataset.

    Raises:
        DestinationError: The storage cannot be used.
        PublishError: The address contains something other than a dataset of kasasagi.
    """
    store = Store(address)
    names = store.names()
    earlier = _earlier(store, names)
    manifest = read_manifest(folder) or {}
    files = [*manifest["files"]]
    store.discard([name for name in names if name.startswith(STAGED)])
    _stage(store, folder, files)
    store.write(MANIFEST, _incomplete(manifest, {*files, *earlier}))
    for name in files:
        store.copy(STAGED + name, name)
    store.remove(sorted(set(names) & set(earlier) - {*files, MANIFEST}))
    store.write(MANIFEST, (folder / MANIFEST).read_bytes())
    store.remove([STAGED + name for name in files])


def check_address(address: str) -> None:
    """Look whether a dataset can be put at an address, by a small object that is removed again.

    Raises DestinationError and PublishError as `upload` does.
    """
    store = Store(address)
    _earlier(store, store.names())
    trial = f"{STAGED}check-{secrets.token_hex(4)}"
    store.write(trial, b"")
    store.discard([trial])


def _stage(store: Store, folder: Path, files: Iterable[str]) -> None:
    """Upload the files under names of their own; what was uploaded of them vanishes where one cannot be."""
    done: list[str] = []
    try:
        for name in files:
            store.put(folder / name, STAGED + name)
            done.append(STAGED + name)
    except BaseException:
        with suppress(DestinationError):
            store.remove(done)
        raise


def _earlier(store: Store, names: list[str]) -> set[str]:
    """Return the files that were put there before.

    Raises:
        PublishError: If there are others.
    """
    content = store.read(MANIFEST) if MANIFEST in names else None
    manifest = as_manifest(content) if content is not None else None
    ours = {*manifest["files"], MANIFEST} if manifest else set()
    foreign = [name for name in names if name not in ours and not name.startswith(STAGED)]
    if foreign:
        shown = ", ".join(foreign[:3]) + (", …" if len(foreign) > 3 else "")
        raise PublishError(
            f"{store.address} contains files that kasasagi did not publish there ({shown}), so it is not replaced: "
            "move them away or name another address"
        )
    return ours


def _incomplete(manifest: dict[str, Any], files: set[str]) -> bytes:
    """Return a manifest that names all files that are there meanwhile, and says that they are no dataset."""
    named = {**manifest, "incomplete": True, "files": dict.fromkeys(sorted(files - {MANIFEST}))}
    return orjson.dumps(named, option=orjson.OPT_INDENT_2) + b"\n"
