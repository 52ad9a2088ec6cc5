"""The recipe that `kasasagi init --full` writes: essential keys first, then every key as a comment with its default."""

import json
import textwrap
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from kasasagi.flows.recipe.documents.reference import description_of, models_of
from kasasagi.flows.recipe.documents.template import TEMPLATE
from kasasagi.tasks.recipe import Recipe

WIDTH = 110
FURTHER = """
# Every key with its default, by its place in the recipe. Copy what you need to its place above, without the "# ".
"""
Fields = Mapping[str, Any]


def full_template() -> str:
    """Return a recipe of the essential keys, followed by comments with all keys, their defaults and descriptions."""
    schema = Recipe.model_json_schema()
    return TEMPLATE + FURTHER + "".join(_parts("", [schema], schema, {}))


def _parts(path: str, models: list[Fields], schema: Fields, seen: dict[str, str]) -> Iterator[str]:
    """Yield comments on the part of a recipe at a path, in each kind that it may have, and on the parts in it.

    Args:
        path: Dotted path of the part; empty for the whole recipe.
        models: JSON schemas of the objects that the part may be.
        schema: JSON schema of the whole recipe.
        seen: Paths of the parts that are explained already, by the titles of their schemas; parts are added.
    """
    shown: dict[str, Fields] = {}
    for model in models:
        if (title := model["title"]) in seen:
            yield f"\n# -- {path}: the same keys as {seen[title]}\n" if path != seen[title] else ""
            continue
        seen[title] = path
        fields = {key: field for key, field in model["properties"].items() if shown.get(key) != field}
        inner = {key: found for key, field in fields.items() for found in [_inner(field, schema)] if found[1]}
        place = f"{path}, further keys" if shown else path
        yield _comment(place, fields, schema, set(model.get("required", ())), inner.keys())
        shown |= fields
        for key, (end, parts) in inner.items():
            yield from _parts(f"{path}.{key}{end}".removeprefix("."), parts, schema, seen)


def _inner(field: Fields, schema: Fields) -> tuple[str, list[Fields]]:
    """Return what follows a field's name in the path of its parts, and the parts' schemas; none for a plain value."""
    found = list(models_of(field, schema))
    if parts := [one for one in found if one.get("properties")]:
        return "", parts
    entries = [entry for one in found for entry in (one.get("additionalProperties"), one.get("items")) if entry]
    parts = [part for entry in entries if isinstance(entry, dict) for part in models_of(entry, schema)]
    ending = "[]" if any("items" in one for one in found) else ".NAME"
    return ending, [part for part in parts if part.get("properties")]


def _comment(path: str, fields: Fields, schema: Fields, required: set[str], inner: Collection[str]) -> str:
    kind = fields.get("kind", {}).get("const")
    lines = ["", f"-- {path or 'the recipe'}" + (f" of kind {kind}" if kind else "")]
    for key, field in fields.items():
        default = json.dumps(field.get("default"), ensure_ascii=False)
        value = f"{kind}" if key == "kind" else "(its keys: below)" if key in inner else default
        lines += ["", *textwrap.wrap(description_of(field, schema), WIDTH)]
        lines.append(f"{key}: {'(required)' if key in required and value == 'null' else value}")
    return "\n".join(f"# {line}".rstrip() for line in lines)[1:] + "\n"
