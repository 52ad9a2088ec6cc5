"""Formats of files by their endings, and the parts of a dataset that `split` names."""

import re
from pathlib import Path

from kasasagi.tasks.load.config import DatasetSource, Format, SourceError

FORMATS: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
}
_COMPRESSIONS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}
_SLICE = re.compile(r"(-?[0-9]*):(-?[0-9]*)\]")


def endings_of(path: Path) -> tuple[str, str | None]:
    """Return the ending of a path that shows its format, and the ending of its compression."""
    endings = [ending.lower() for ending in path.suffixes]
    if endings and endings[-1] in _COMPRESSIONS:
        return (endings[-2] if len(endings) > 1 else ""), _COMPRESSIONS[endings[-1]]
    return (endings[-1] if endings else ""), None


def split_and_part(source: DatasetSource) -> tuple[str | None, slice | None]:
    """Return the split that a recipe names, and the rows of it where it names some, e.g. train[:3] or train[10:20].

    Raises:
        SourceError: For another form.
    """
    name, bracket, part = (source.split or "").partition("[")
    if not bracket:
        return source.split, None
    if (named := _SLICE.fullmatch(part)) is None:
        raise SourceError(
            f"source.split: {source.split!r} is not a part of a split: write it as train[:100] or train[5:9]"
        )
    first, end = (int(number) if number else None for number in named.groups())
    return name or None, slice(first, end)
