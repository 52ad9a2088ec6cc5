"""What the README of a dataset's folder declares in its header: which files are which configuration and split.

The form is that of the Hub (https://huggingface.co/docs/hub/datasets-manual-configuration).
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from kasasagi.blocks.suggestions import nearest
from kasasagi.tasks.load.config import DatasetSource, SourceError

Splits = dict[str, list[Path]]
_HEADER = re.compile(r"\A\ufeff?---[ \t]*\r?\n(.*?)^---[ \t]*$", re.DOTALL | re.MULTILINE)


def declared_splits(source: DatasetSource, folder: Path) -> Splits | None:
    """The files of each split of the configuration that a recipe names, as the folder's README declares them.

    Args:
        source: The recipe's source; without a name, the README's default configuration is taken.
        folder: The dataset's folder.

    Returns:
        The files by split, or None where no README declares any.

    Raises:
        SourceError: The recipe must say which configuration, or names one that is not there; or no file fits.
    """
    entries = _entries(folder / "README.md")
    configurations = {_name(entry): _patterns(entry.get("data_files")) for entry in entries}
    configurations = {name: patterns for name, patterns in configurations.items() if patterns}
    if not configurations:
        return None
    name = _chosen(source, folder, list(configurations), [_name(entry) for entry in entries if _is_default(entry)])
    splits = {split: _files(folder, patterns) for split, patterns in configurations[name].items()}
    for split, files in splits.items():
        if not files:
            raise SourceError(
                f"source.path {source.path!r}: its README declares {configurations[name][split]} as the split {split} "
                f"of {name}, but no such file is there; fetch the whole dataset, or name a file as the path"
            )
    return splits


def _entries(readme: Path) -> list[Mapping[str, Any]]:
    """The configurations in the header of a README; none where it is not there or not readable."""
    try:
        header = _HEADER.match(readme.read_text(encoding="utf-8"))
        declared = (yaml.safe_load(header[1]) or {}).get("configs") if header else None
    except (OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError):
        return []
    return [entry for entry in declared if isinstance(entry, Mapping)] if isinstance(declared, list) else []


def _name(entry: Mapping[str, Any]) -> str:
    return str(entry.get("config_name", "default"))


def _is_default(entry: Mapping[str, Any]) -> bool:
    return entry.get("default") is True or _name(entry) == "default"


def _patterns(data_files: Any) -> dict[str, list[str]]:
    """The patterns by split; files without a split are train."""
    if isinstance(data_files, list) and all(isinstance(one, Mapping) for one in data_files):
        return {str(one.get("split", "train")): _texts(one.get("path")) for one in data_files}
    if isinstance(data_files, Mapping):
        return {str(split): _texts(paths) for split, paths in data_files.items()}
    return {"train": _texts(data_files)} if _texts(data_files) else {}


def _texts(given: Any) -> list[str]:
    listed = given if isinstance(given, list) else [given]
    return [one for one in listed if isinstance(one, str)]


def _files(folder: Path, patterns: Sequence[str]) -> list[Path]:
    """The files below a folder that fit some patterns; a pattern that leads out of the folder fits none."""
    inside = [pattern for pattern in patterns if ".." not in Path(pattern).parts and not Path(pattern).is_absolute()]
    found = (file for pattern in inside for file in sorted(folder.glob(pattern)) if file.is_file())
    return list(dict.fromkeys(found))


def _chosen(source: DatasetSource, folder: Path, names: Sequence[str], default: Sequence[str]) -> str:
    if source.name is None:
        if len(names) == 1 or default:
            return names[0] if len(names) == 1 else default[0]
        raise SourceError(f"source.path {source.path!r} has the configurations {', '.join(names)}: say which with name")
    if source.name not in names:
        raise SourceError(f"source.name: {folder} has no configuration {source.name!r}: {nearest(source.name, names)}")
    return source.name
