"""Where a source lies and what it is: its file or Hub id, its format, its compression, its digest."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kasasagi.blocks.canonical import digest, digest_file
from kasasagi.blocks.suggestions import nearest
from kasasagi.tasks.load.config import DatasetSource, Format, SourceError

_FORMATS: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
}
_COMPRESSIONS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_SAVED_MARKS = ("dataset_dict.json", "dataset_info.json", "state.json")


@dataclass(frozen=True, slots=True)
class Place:
    """A source that was found: its format, its path (None on the Hub), its label and its compression."""

    format: Format
    path: Path | None
    label: str
    compression: str | None = None

    @property
    def file(self) -> Path:
        """The path of a source on disk."""
        if self.path is None:
            raise SourceError(f"{self.label} lies on the Hub, not on disk: give a file or a folder")
        return self.path


def locate(source: DatasetSource, base: Path) -> Place:
    """Find a source: beside the recipe, then in the current folder, then (owner/name) on the Hub.

    Raises SourceError for a path that is missing or whose format is not given.
    """
    if source.format == "hub":
        return Place("hub", None, source.path)
    asked = Path(source.path).expanduser()
    for path in (base / asked, asked):
        if path.exists():
            return _describe(source, path)
    ending, _ = _endings(asked)
    if source.format is None and ending not in _FORMATS and _HUB_ID.fullmatch(source.path):
        return Place("hub", None, source.path)
    raise SourceError(f"source.path {source.path!r} does not exist in {base}{_neighbours(base / asked)}")


def source_digest(source: DatasetSource, base: Path) -> str:
    """The digest of a source's content: a file's bytes, a folder's files, or a Hub id with its revision and split.

    A Hub id without a revision has one digest whatever the Hub holds that day. Raises SourceError where it is missing.
    """
    place = locate(source, base)
    if place.path is None:
        return digest({"name": source.name, "path": source.path, "revision": source.revision, "split": source.split})
    if place.path.is_file():
        return digest_file(place.path)
    files = sorted(file for file in place.path.rglob("*") if file.is_file())
    return digest([[file.relative_to(place.path).as_posix(), digest_file(file)] for file in files])


def _describe(source: DatasetSource, path: Path) -> Place:
    if path.is_dir():
        return _describe_folder(source, path)
    ending, compression = _endings(path)
    _check_options(source, path, ("split", "name", "revision", "streaming"), "a file")
    form = source.format or _FORMATS.get(ending)
    if form is None:
        raise SourceError(
            f"source.path {source.path!r} has no ending that tells its format: add format: jsonl, json, csv or parquet"
        )
    if form == "saved":
        raise SourceError(f"source.path {source.path!r} is a file, but format: saved names a folder: drop the format")
    if form in ("jsonl", "json"):
        _check_options(source, path, ("delimiter",), f"a {form} file")
    if form == "parquet":
        _check_options(source, path, ("encoding", "delimiter"), "a Parquet file")
    return Place(form, path, path.name, compression)


def _describe_folder(source: DatasetSource, path: Path) -> Place:
    if source.format in (None, "parquet") and not _is_saved(path) and (shards := parquet_shards(path)):
        _check_options(source, path, ("name", "revision", "streaming"), "a folder of Parquet files")
        _check_split(source, path, shards)
        return Place("parquet", path, path.resolve().name)
    if source.format not in (None, "saved"):
        raise SourceError(
            f"source.path {source.path!r} is a folder, but format: {source.format} wants a file: name one"
        )
    _check_options(source, path, ("name", "revision", "streaming"), "a folder")
    if not _is_saved(path):
        inside = ", ".join(sorted(child.name for child in path.iterdir())[:10]) or "nothing"
        raise SourceError(f"source.path {source.path!r} is no folder saved by `datasets`: name a file in it ({inside})")
    return Place("saved", path, path.resolve().name)


def _is_saved(folder: Path) -> bool:
    return any((folder / mark).is_file() for mark in _SAVED_MARKS)


def parquet_shards(folder: Path, split: str | None = None) -> list[Path]:
    """The Parquet files below a folder, such as a clone of a Hub dataset; of one split where their names tell it."""
    files = sorted(file for file in folder.rglob("*.parquet") if file.is_file() and not _is_hidden(file, folder))
    return [file for file in files if split is None or _split_of(file) == split]


def _is_hidden(file: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(folder).parts)


def _split_of(file: Path) -> str:
    """The split that a shard's name or folder tells, e.g. in train-00000-of-00002.parquet or train/0000.parquet."""
    return re.split(r"[-.]", file.name)[0] if "-of-" in file.name else file.parent.name


def _check_split(source: DatasetSource, path: Path, shards: Sequence[Path]) -> None:
    """Refuse shards of several splits unless the recipe says which, and a split that none of them is of."""
    splits = sorted({_split_of(file) for file in shards})
    if source.split is None and len(splits) > 1 and "train" not in splits:
        raise SourceError(f"source.path {source.path!r} has the splits {', '.join(splits)}: say which with split")
    if source.split is not None and source.split not in splits:
        raise SourceError(f"source.split: {path} has no split {source.split!r}: {nearest(source.split, splits)}")


def _check_options(source: DatasetSource, path: Path, names: Sequence[str], what: str) -> None:
    """Refuse options that say nothing of a source of that kind, instead of ignoring them."""
    for name in names:
        if getattr(source, name):
            raise SourceError(f"source.{name}: {path} is {what}, which has no {name}: take it out")


def _endings(path: Path) -> tuple[str, str | None]:
    """The ending that tells the format, and the compression behind it."""
    endings = [ending.lower() for ending in path.suffixes]
    if endings and endings[-1] in _COMPRESSIONS:
        return (endings[-2] if len(endings) > 1 else ""), _COMPRESSIONS[endings[-1]]
    return (endings[-1] if endings else ""), None


def _neighbours(missing: Path) -> str:
    """What a mistyped path may have meant: the names in its folder, or the first part of it that is missing."""
    folder = missing.parent
    if not folder.is_dir():
        return f", nor does its folder {folder}: correct the path"
    return f": {nearest(missing.name, sorted(child.name for child in folder.iterdir()))}"
