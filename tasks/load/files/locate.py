"""Where a source lies and what it is: its file or Hub id, its format, its compression, its digest."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kasasagi.blocks.canonical import digest, digest_file
from kasasagi.blocks.suggestions import nearest
from kasasagi.tasks.load.config import DatasetSource, Format, SourceError
from kasasagi.tasks.load.files.formats import FORMATS, endings_of
from kasasagi.tasks.load.files.shards import find_shards

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_SAVED_MARKS = ("dataset_dict.json", "dataset_info.json", "state.json")
_POINTERS = {
    b"version https://git-lfs.github.com/spec/": ("Git LFS", "`git lfs pull`"),
    b"/annex/objects/": ("git-annex", "`git annex get .`"),
}


@dataclass(frozen=True, slots=True)
class DataLocation:
    """A source that was found.

    Attributes:
        path: The file or folder; None on the Hub.
        shards: The files of a folder of data files, in order.
        note: What is said of the files that were chosen in such a folder.
    """

    format: Format
    path: Path | None
    label: str
    compression: str | None = None
    shards: tuple["DataLocation", ...] = ()
    note: str | None = None

    @property
    def file(self) -> Path:
        """The path of a source on disk."""
        if self.path is None:
            raise SourceError(f"{self.label} is on the Hub, not on disk: name a file or a folder")
        return self.path


def locate(source: DatasetSource, base: Path) -> DataLocation:
    """Find a source: next to the recipe, then in the current folder, then (owner/name) on the Hub.

    Raises:
        SourceError: For a path that is missing or whose format is not given.
    """
    if source.format == "hub":
        return DataLocation("hub", None, source.path)
    asked = Path(source.path).expanduser()
    for path in (base / asked, asked):
        if path.exists():
            return _describe(source, path)
    ending, _ = endings_of(asked)
    if source.format is None and ending not in FORMATS and _HUB_ID.fullmatch(source.path):
        return DataLocation("hub", None, source.path)
    if "://" in source.path:
        raise SourceError(f"source.path {source.path!r} is a URL, which is not read; download the file and name that")
    place = "" if asked.is_absolute() else f" in {base}"
    raise SourceError(f"source.path {source.path!r} does not exist{place}{_neighbours(base / asked)}")


def source_digest(source: DatasetSource, base: Path) -> str:
    """Return the digest of a source's content: a file's bytes, a folder's files, or a Hub id with its revision and
    split.

    A Hub id without a revision has one digest whatever the Hub holds that day.

    Raises:
        SourceError: If it is missing.
    """
    place = locate(source, base)
    if place.path is None:
        return digest({"name": source.name, "path": source.path, "revision": source.revision, "split": source.split})
    if place.path.is_file():
        return digest_file(place.path)
    files = sorted(file for file in place.path.rglob("*") if file.is_file())
    return digest([[file.relative_to(place.path).as_posix(), digest_file(file)] for file in files])


def _describe(source: DatasetSource, path: Path) -> DataLocation:
    if path.is_dir():
        return _describe_folder(source, path)
    if not path.is_file():
        raise SourceError(
            f"source.path {source.path!r} is neither a file nor a folder, but a pipe, a socket or a device, which "
            "cannot be read more than once; write its content to a file and name that"
        )
    ending, _ = endings_of(path)
    _check_options(source, path, ("split", "name", "revision", "streaming"), "a file")
    form = source.format or FORMATS.get(ending)
    if form is None:
        raise SourceError(
            f"source.path {source.path!r} has no ending that shows its format: add format: jsonl, json, csv or parquet"
        )
    if form == "saved":
        raise SourceError(f"source.path {source.path!r} is a file, but format: saved names a folder: drop the format")
    return _describe_file(source, path, form)


def _describe_file(source: DatasetSource, path: Path, form: Format) -> DataLocation:
    _check_pointer(path)
    if form in ("jsonl", "json"):
        _check_options(source, path, ("delimiter",), f"a {form} file")
    if form == "parquet":
        _check_options(source, path, ("encoding", "delimiter"), "a Parquet file")
    return DataLocation(form, path, path.name, endings_of(path)[1])


def _check_pointer(path: Path) -> None:
    """Refuse a file that a clone without Git LFS or git-annex left in the place of the data."""
    try:
        with path.open("rb") as file:
            head = file.read(max(map(len, _POINTERS)))
    except OSError:
        return
    for mark, (what, command) in _POINTERS.items():
        if head.startswith(mark):
            raise SourceError(f"{path} is a {what} pointer, not the data: run {command} in {path.parent}")


def _describe_folder(source: DatasetSource, path: Path) -> DataLocation:
    if source.format != "saved" and not _is_saved(path) and (found := find_shards(source, path)) is not None:
        _check_options(source, path, ("revision", "streaming"), "a folder of data files")
        shards = tuple(_describe_file(source, file, found.format) for file in found.files)
        return DataLocation(found.format, path, path.resolve().name, shards=shards, note=found.note)
    if source.format not in (None, "saved"):
        raise SourceError(
            f"source.path {source.path!r} is a folder, but format: {source.format} needs a file: name one"
        )
    _check_options(source, path, ("name", "revision", "streaming"), "a folder")
    if not _is_saved(path):
        inside = ", ".join(sorted(child.name for child in path.iterdir())[:10])
        if not inside:
            raise SourceError(f"source.path {source.path!r} is an empty folder: put the data into it or name another")
        raise SourceError(
            f"source.path {source.path!r} is not a folder saved by `datasets`: name a file in it ({inside})"
        )
    for file in sorted(path.rglob("*.arrow")):
        _check_pointer(file)
    return DataLocation("saved", path, path.resolve().name, note=_saved_note(source, path))


def _saved_note(source: DatasetSource, folder: Path) -> str | None:
    """Say which splits of a saved dataset are left out, where the recipe names none."""
    try:
        splits = json.loads((folder / "dataset_dict.json").read_bytes())["splits"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if source.split is not None or "train" not in splits or len(splits) < 2:
        return None
    others = ", ".join(name for name in splits if name != "train")
    return f"the split train is read; {others} left out, which source.split can name"


def _is_saved(folder: Path) -> bool:
    return any((folder / mark).is_file() for mark in _SAVED_MARKS)


def _check_options(source: DatasetSource, path: Path, names: Sequence[str], what: str) -> None:
    """Refuse options that say nothing of a source of that kind, instead of ignoring them."""
    for name in names:
        if getattr(source, name):
            raise SourceError(f"source.{name}: {path} is {what}, which has no {name}: remove it")


def _neighbours(missing: Path) -> str:
    """Return what a mistyped path may have meant: the names in its folder, or the first part of it that is missing."""
    folder = missing.parent
    if not folder.is_dir():
        return f", nor does its folder {folder}: correct the path"
    return f": {nearest(missing.name, sorted(child.name for child in folder.iterdir()))}"
