"""The manifest of a published folder: what it holds, and which run of which recipe it is from."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from kasasagi.blocks.canonical import digest, digest_file
from kasasagi.blocks.version import installed_version
from kasasagi.tasks.publish.card.dataset_card import CardFacts
from kasasagi.tasks.publish.places.folder import LAYOUT, MANIFEST, MARKER


def write_manifest(
    facts: CardFacts, folder: Path, names: Sequence[str], data: Sequence[str], more: Mapping[str, Any] | None = None
) -> str:
    """Write a folder's manifest and give the digest of its data files.

    names are those of all its files, in the order in which they are to stand there, data those that hold rows. more
    holds further entries.
    """
    files = {name: _file_entry(folder / name) for name in names}
    data_digest = digest({name: files[name]["digest"] for name in data})
    manifest = {
        MARKER: installed_version(),
        "layout": LAYOUT,
        "run": facts.run.id,
        "recipe": facts.run.state().name,
        "recipe_digest": digest(facts.run.recipe()),
        "partial": facts.partial,
        "of": facts.run.product(),
        "rows": facts.figures.pairs,
        "digest": data_digest,
        **(more or {}),
        "files": files,
    }
    (folder / MANIFEST).write_bytes(orjson.dumps(manifest, option=orjson.OPT_INDENT_2) + b"\n")
    return data_digest


def _file_entry(file: Path) -> dict[str, Any]:
    return {"digest": digest_file(file), "bytes": file.stat().st_size}
