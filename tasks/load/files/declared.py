"""What the README of a dataset's folder declares in its header: which files are which configuration and split.

The form is that of the Hub (https://huggingface.co/docs/hub/datasets-manual-configuration).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from kasasagi.blocks.suggestions import nearest
from kasasagi.tasks.load.config import DatasetSource, SourceError

_HEADER = re.compile(r"\A\ufeff?---[ \t]*\r?\n(.*?)^---[ \t]*\r?$", re.DOTALL | re.MULTILINE)
DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Configuration:
    """A configuration: the files of each split, or the folder whose files' names tell the splits."""

    name: str
    is_default: bool
    patterns: Mapping[str, Sequence[str]] = field(default_factory=dict)
    folder: str | None = None


def declared(source: DatasetSource, folder: Path) -> Configuration | None:
    """Return the configuration that a recipe names, as the folder's README declares it; None where it declares none.

    Args:
        source: The recipe's source; without a name, the README's default configuration is taken.
        folder: The dataset's folder.

    Raises:
        SourceError: The recipe must say which configuration, or names one that is not there.
    """
    found = [one for one in map(_configuration, _entries(folder / "README.md")) if one.patterns or one.folder]
    if not found:
        return None
    names = [one.name for one in found]
    if source.name is not None and source.name not in names:
        raise SourceError(f"source.name: {folder} has no configuration {source.name!r}: {nearest(source.name, names)}")
    fitting = [one for one in found if (one.is_default if source.name is None else one.name == source.name)]
    if not fitting and len(found) > 1:
        raise SourceError(f"source.path {source.path!r} has the configurations {', '.join(names)}: say which with name")
    return (fitting or found)[0]


def files_of(source: DatasetSource, folder: Path, configuration: Configuration) -> dict[str, list[Path]]:
    """Return the files of each split of a configuration.

    Raises:
        SourceError: If a split has none.
    """
    splits = {split: _files(folder, patterns) for split, patterns in configuration.patterns.items()}
    for split, files in splits.items():
        if not files:
            patterns = ", ".join(configuration.patterns[split])
            raise SourceError(
                f"source.path {source.path!r}: its README declares {patterns} as the split {split} of "
                f"{configuration.name}, but no such file is there; fetch the whole dataset, or name a file as the path"
            )
    return splits


def _entries(readme: Path) -> list[Mapping[str, Any]]:
    """Return the configurations in the header of a README; none where it is not there or not readable."""
    try:
        header = _HEADER.match(readme.read_text(encoding="utf-8"))
        found = (yaml.safe_load(header[1]) or {}).get("configs") if header else None
    except (OSError, ValueError, yaml.YAMLError, AttributeError, RecursionError):
        return []
    return [entry for entry in found if isinstance(entry, Mapping)] if isinstance(found, list) else []


def _configuration(entry: Mapping[str, Any]) -> Configuration:
    name, folder = str(entry.get("config_name", DEFAULT)), entry.get("data_dir")
    below = folder if isinstance(folder, str) and _is_inside(folder) else None
    is_default = entry.get("default") is True or name == DEFAULT
    return Configuration(name, is_default, _patterns(entry.get("data_files"), below), below)


def _patterns(data_files: Any, below: str | None) -> dict[str, list[str]]:
    """Return the patterns by split, below a configuration's folder; files without a split are train."""
    if isinstance(data_files, list) and all(isinstance(one, Mapping) for one in data_files):
        found = {str(one.get("split", "train")): _texts(one.get("path")) for one in data_files}
    elif isinstance(data_files, Mapping):
        found = {str(split): _texts(paths) for split, paths in data_files.items()}
    else:
        found = {"train": _texts(data_files)}
    return {split: [f"{below}/{path}" if below else path for path in paths] for split, paths in found.items() if paths}


def _texts(value: Any) -> list[str]:
    listed = value if isinstance(value, list) else [value]
    return [one for one in listed if isinstance(one, str) and one]


def _files(folder: Path, patterns: Sequence[str]) -> list[Path]:
    """Return the files below a folder that fit some patterns; a pattern that leads out of the folder fits none."""
    found = (file for pattern in patterns if _is_inside(pattern) for file in _fitting(folder, pattern))
    return list(dict.fromkeys(found))


def _fitting(folder: Path, pattern: str) -> list[Path]:
    try:
        return sorted(file for file in folder.glob(pattern) if file.is_file())
    except (ValueError, NotImplementedError):  # a form that the Hub knows and Python does not, such as **.csv
        return []


def _is_inside(path: str) -> bool:
    return ".." not in Path(path).parts and not Path(path).is_absolute()
