"""Rows from Python as a recipe's source: they become a file of the workspace, known by its content."""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from kasasagi.blocks.canonical import digest_bytes
from kasasagi.blocks.workspace.runs import Workspace
from kasasagi.flows.errors import UsageError
from kasasagi.flows.recipe.loading import LoadedRecipe
from kasasagi.tasks.load import DatasetSource

FOLDER = "sources"
OF_A_FILE = {"path", "format", "encoding", "delimiter", "split", "name", "revision", "streaming"}


def source_of(rows: Iterable[Mapping[str, Any]], loaded: LoadedRecipe, workspace: Workspace) -> str:
    """Write rows to the workspace, and give the `--set` that makes them the source of a recipe.

    What the recipe says of a dataset otherwise stays; of columns and keep, what the rows have.

    Raises:
        UsageError: For what is no row.
    """
    listed = list(rows)
    data = b"".join(_line(number, row) for number, row in enumerate(listed))
    file = workspace.folder / FOLDER / f"rows-{digest_bytes(data)}.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    source = loaded.recipe.source
    stays = source.model_dump(mode="json", exclude_unset=True) if isinstance(source, DatasetSource) else {}
    kept = {name: value for name, value in stays.items() if name not in OF_A_FILE}
    there = {name for row in listed for name in row}
    if columns := {ours: theirs for ours, theirs in kept.pop("columns", {}).items() if theirs in there}:
        kept["columns"] = columns
    if keep := [name for name in kept.pop("keep", ()) if name in there]:
        kept["keep"] = keep
    return f"source={orjson.dumps({**kept, 'kind': 'dataset', 'path': str(file.resolve())}).decode()}"


def _line(number: int, row: Mapping[str, Any]) -> bytes:
    if not isinstance(row, Mapping):
        raise UsageError(
            f"rows[{number}] is of the type {type(row).__name__}, not a mapping such as {{'instruction': 'Why?'}}; a "
            "data frame gives such rows by to_dict('records')"
        )
    try:
        return orjson.dumps(dict(row)) + b"\n"
    except TypeError as error:
        raise UsageError(f"rows[{number}] cannot be written as JSON ({error}); use texts, numbers and lists") from error
