"""Folders of data files, such as clones of Hub datasets: the splits and the configurations that their names tell.

What the folder's README declares holds. Else names tell splits as on the Hub
(https://huggingface.co/docs/hub/datasets-file-names-and-splits): the first of three rules that fits any file holds for
all, and where none does, all files are the split train.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kasasagi.blocks.suggestions import nearest
from kasasagi.tasks.load.config import DatasetSource, Format, SourceError
from kasasagi.tasks.load.files.declared import Configuration, declared, files_of
from kasasagi.tasks.load.files.formats import FORMATS, endings_of, split_and_part

_KEYWORDS = {
    "train": "train|training",
    "validation": "validation|valid|dev|val",
    "test": "test|testing|eval|evaluation",
}
_SEPARATOR = r"[-._ 0-9]"
_SPLITS = {split: re.compile(rf"(?:^|{_SEPARATOR})(?:{words})(?:{_SEPARATOR}|$)") for split, words in _KEYWORDS.items()}
_SHARD = re.compile(r"(\w+(?:\.\w+)*)-(\d{5})-of-(\d{5})")
_NO_DATA = {"config.json", "dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"}


@dataclass(frozen=True, slots=True)
class Shards:
    """The files of a folder that are read, in order, their format, and what is said of the choice."""

    format: Format
    files: tuple[Path, ...]
    note: str


def find_shards(source: DatasetSource, folder: Path) -> Shards | None:
    """Choose the files of one split and one configuration below a folder; None where it holds no data files.

    Raises:
        SourceError: If the recipe must say which, or names what is not there.
    """
    form, files = _data_files(source, folder)
    if form is None:
        return None
    if (configuration := declared(source, folder)) is not None:
        return _shards_of(source, folder, configuration)
    files = _of_configuration(source, folder, files)
    splits = _splits(folder, files)
    split = _chosen_split(source, folder, splits)
    chosen = splits[split]
    _check_complete(source, folder, split, chosen)
    found = sorted({_configuration(file, folder, split) for file in chosen})
    if source.name is None and _tells_splits(folder, files) and len(found) > 1:
        raise SourceError(f"source.path {source.path!r} has the configurations {_listed(found)}: say which with name")
    return Shards(form, tuple(chosen), _note(split, chosen, [] if source.split else splits))


def _shards_of(source: DatasetSource, folder: Path, configuration: Configuration) -> Shards | None:
    """Return the files of one split of a configuration that the folder's README declares."""
    if not configuration.patterns and configuration.folder:
        return find_shards(source.model_copy(update={"name": None}), folder / configuration.folder)
    splits = files_of(source, folder, configuration)
    split = _chosen_split(source, folder, splits)
    files = splits[split]
    _check_complete(source, folder, split, files)
    forms = {FORMATS.get(endings_of(file)[0]) for file in files}
    form = source.format or (next(iter(forms)) if len(forms) == 1 else None)
    if form is None:
        raise SourceError(
            f"source.path {source.path!r}: its README declares {files[0].name!r} among the files of the split {split}, "
            f"whose format is not known by its ending; say which with format"
        )
    return Shards(form, tuple(files), _note(split, files, [] if source.split else splits))


def _data_files(source: DatasetSource, folder: Path) -> tuple[Format | None, list[Path]]:
    """Return the data files below a folder, of the format that the recipe names, else of Parquet, else of the
    commonest.
    """
    files = [file for file in sorted(folder.rglob("*")) if file.is_file() and not _is_hidden(file, folder)]
    formats = {file: FORMATS[endings_of(file)[0]] for file in files if _is_data(file)}
    form = source.format or _commonest(list(formats.values()))
    found = [file for file, its in formats.items() if its == form]
    return (form, found) if found else (None, [])


def _commonest(formats: Sequence[Format]) -> Format | None:
    """Parquet, else the format of most files; None where two are of equally many."""
    if "parquet" in formats:
        return "parquet"
    counts = Counter(formats).most_common(2)
    if not counts or (len(counts) > 1 and counts[0][1] == counts[1][1]):
        return None
    return counts[0][0]


def _is_hidden(file: Path, folder: Path) -> bool:
    return any(part.startswith((".", "__")) for part in file.relative_to(folder).parts)


def _is_data(file: Path) -> bool:
    return endings_of(file)[0] in FORMATS and file.name not in _NO_DATA


def _splits(folder: Path, files: Iterable[Path]) -> dict[str, list[Path]]:
    """Return the files of each split, by the first rule that fits any of them."""
    for rule in _RULES:
        found: dict[str, list[Path]] = defaultdict(list)
        for file in files:
            for split in rule(file.relative_to(folder)):
                found[split].append(file)
        if found:
            return dict(found)
    return {"train": list(files)}


def _split_of_shard(file: Path) -> list[str]:
    named = _SHARD.match(file.name)
    return [named[1]] if named else []


def _splits_of_folders(file: Path) -> list[str]:
    return [split for split, words in _SPLITS.items() if any(words.search(part) for part in file.parts[:-1])]


def _splits_of_name(file: Path) -> list[str]:
    return [split for split, words in _SPLITS.items() if words.search(file.name)]


_RULES: tuple[Callable[[Path], list[str]], ...] = (_split_of_shard, _splits_of_folders, _splits_of_name)


def _tells_splits(folder: Path, files: Iterable[Path]) -> bool:
    return any(rule(file.relative_to(folder)) for file in files for rule in _RULES)


def _configuration(file: Path, folder: Path, split: str | None = None) -> str:
    """Return the folders above a file that are neither data nor a split."""
    parts = file.relative_to(folder).parts[:-1]
    return "/".join(part for part in parts if part not in ("data", split) and not _splits_of_name(Path(part)))


def _of_configuration(source: DatasetSource, folder: Path, files: list[Path]) -> list[Path]:
    """Return the files of the configuration that the recipe names, if it names one.

    Raises:
        SourceError: For another name.
    """
    if source.name is None:
        return files
    found = sorted({_configuration(file, folder) for file in files} - {""})
    if not found:
        raise SourceError(f"source.name: {folder} has no configurations, which would be folders in it: remove it")
    if source.name not in found:
        raise SourceError(f"source.name: {folder} has no configuration {source.name!r}: {nearest(source.name, found)}")
    return [file for file in files if _configuration(file, folder) == source.name]


def _chosen_split(source: DatasetSource, folder: Path, splits: Collection[str]) -> str:
    split, _ = split_and_part(source)
    if split is None and len(splits) > 1 and "train" not in splits:
        raise SourceError(f"source.path {source.path!r} has the splits {', '.join(splits)}: say which with split")
    chosen = split or ("train" if "train" in splits else next(iter(splits)))
    if chosen not in splits:
        raise SourceError(f"source.split: {folder} has no split {chosen!r}: {nearest(chosen, splits)}")
    return chosen


def _check_complete(source: DatasetSource, folder: Path, split: str, files: Iterable[Path]) -> None:
    """Refuse a split that lacks shards, as a clone or a download that was cut off leaves it."""
    numbers: dict[tuple[Path, str, str], set[str]] = defaultdict(set)
    for file in files:
        if named := _SHARD.match(file.name):
            numbers[file.parent, named[1], named[3]].add(named[2])
    for (place, name, total), found in numbers.items():
        if len(found) < int(total):
            where = (place / f"{name}-{min(found)}-of-{total}").relative_to(folder).as_posix()
            raise SourceError(
                f"source.path {source.path!r} has {len(found)} of {int(total)} shards of the split {split} ({where}…): "
                "fetch the whole dataset, or name one file as the path"
            )


def _listed(configurations: Iterable[str]) -> str:
    return ", ".join(name or "(no folder)" for name in configurations)


def _note(split: str, files: Collection[Path], splits: Collection[str]) -> str:
    """Say which files are read, and which of some splits are not."""
    others = [name for name in splits if name != split]
    left = f"; {', '.join(others)} left out, which source.split can name" if others else ""
    count = f"{len(files)} files are" if len(files) > 1 else "1 file is"
    return f"{count} read of the split {split}{left}"
