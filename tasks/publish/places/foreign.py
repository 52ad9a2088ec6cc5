"""What in a published folder belongs to a person: files that were put there, and published ones that were changed."""

import os
from collections.abc import Collection, Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from kasasagi.blocks.canonical import digest_file

HARMLESS = (".DS_Store", "._*", "Thumbs.db", "desktop.ini", "cache-*.arrow")
"""Files that file managers and `datasets` make again whenever they need them."""
HARMLESS_FOLDERS = frozenset({".ipynb_checkpoints"})


def foreign_files(folder: Path, published: Collection[str]) -> list[str]:
    """Return the names of the files at any depth that were not published and that nobody can make again."""
    return sorted(
        name
        for name in _files(folder)
        if name not in published and not any(fnmatch(Path(name).name, pattern) for pattern in HARMLESS)
    )


def _files(folder: Path) -> Iterator[str]:
    """Yield the names of all files and links in a folder, relative to it."""
    for place, folders, files in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(place, name))]
        folders[:] = [name for name in folders if name not in HARMLESS_FOLDERS]
        yield from ((Path(place) / name).relative_to(folder).as_posix() for name in (*files, *links))


def changed_files(folder: Path, published: Mapping[str, Any], manifest: Path) -> list[str]:
    """Return the names of published files whose content is no longer that of the manifest, e.g. an edited card.

    A file of its size that is not younger than the manifest, which is written last, is taken for unchanged, so that a
    large dataset is not read again.
    """
    return sorted(name for name, known in published.items() if _is_changed(folder / name, known, manifest))


def _is_changed(file: Path, known: Any, manifest: Path) -> bool:
    if not isinstance(known, dict) or not file.is_file():
        return False
    now = file.stat()
    if now.st_size != known.get("bytes"):
        return True
    return now.st_mtime_ns > manifest.stat().st_mtime_ns and digest_file(file) != known.get("digest")
