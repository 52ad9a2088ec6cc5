"""The reference of a recipe as Markdown, made from its model: every key, what it takes, its default, what it is for."""

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from kasasagi.blocks.own.registry import OWN_PATTERN
from kasasagi.flows.recipe.documents.template import essentials
from kasasagi.tasks.recipe import Recipe

INTRODUCTION = """# Recipe reference

Printed by `kasasagi schema --markdown`; `kasasagi schema` prints the same as a JSON schema for an editor.

## Essential keys

Most recipes need no others. `kasasagi init` writes a recipe with these keys, `kasasagi init --full` one with all keys.

| key | example | what it is |
| --- | --- | --- |
"""
ALL_KEYS = """
## All keys

Each part of a recipe is folded; open the one that you need.
"""
SIMPLE = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false", "null": "null"}
LONGEST_DEFAULT = 90
LIMITS = {"minimum": "at least", "exclusiveMinimum": "more than", "maximum": "at most", "exclusiveMaximum": "less than"}


def reference() -> str:
    """Return the reference in Markdown: the essential keys with examples, then every part of a recipe, folded."""
    schema = Recipe.model_json_schema()
    sections = [("recipe", schema), *((name, one) for name, one in schema["$defs"].items() if one.get("properties"))]
    return "\n".join(
        [
            INTRODUCTION + "\n".join(_essential(path, example, schema) for path, example in essentials().items()),
            ALL_KEYS,
            *(_section(name, one, schema) for name, one in sections),
        ]
    )


def _essential(path: str, example: Any, schema: Mapping[str, Any]) -> str:
    fields = fields_at(path, schema)
    description, *others = dict.fromkeys(description_of(field, schema) for field in fields)
    if others and (kinds := [f"`{field['const']}`" for field in fields if "const" in field]):
        description = f"One of {', '.join(kinds)}."
    shown = example if isinstance(example, str) else json.dumps(example, ensure_ascii=False)
    return _row(f"`{path}`", f"`{shown}`", description)


def fields_at(path: str, schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the schemas of the field at a dotted path, one of each kind that the part around it may have.

    Args:
        path: Keys from the recipe's top, such as models.NAME.kind; NAME stands for any key of a mapping.
        schema: JSON schema of the whole recipe.

    Raises:
        KeyError: If no such field exists.
    """
    fields = [schema]
    for key in path.split("."):
        models = [one for field in fields for one in models_of(field, schema)]
        fields = [inner for one in models for inner in [_inner(one, key)] if inner is not None]
        if not fields:
            raise KeyError(path)
    return fields


def description_of(field: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """Return what a field is for, on one line: its description, or that of its only model."""
    models = list(models_of(field, schema))
    own = models[0].get("description", "") if len(models) == 1 else ""
    return " ".join(field.get("description", own).split())


def models_of(field: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the schemas that a field may have, references followed."""
    if "$ref" in field:
        yield from models_of(schema["$defs"][field["$ref"].rpartition("/")[2]], schema)
    elif choices := field.get("anyOf") or field.get("oneOf"):
        for choice in choices:
            yield from models_of(choice, schema)
    else:
        yield field


def _inner(model: Mapping[str, Any], key: str) -> Mapping[str, Any] | None:
    inner = model.get("properties", {}).get(key)
    further = model.get("additionalProperties")
    return further if inner is None and isinstance(further, dict) else inner


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _section(name: str, model: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    required = set(model.get("required", ()))
    about = " ".join(model.get("description", "").split())
    lines = [f"### {name}", "", "<details markdown>", f"<summary>{escape(about)}</summary>", ""]
    lines += ["| key | takes | default | what it is |", "| --- | --- | --- | --- |"]
    for key, field in model["properties"].items():
        default = "required" if key in required or "const" in field else _value(field.get("default", ""))
        lines.append(_row(f"`{key}`", ", or ".join(_taken(field, schema)), default, description_of(field, schema)))
    return "\n".join([*lines, "", "</details>", ""])


def _value(default: Any) -> str:
    if isinstance(default, dict):
        default = {key: value for key, value in default.items() if value is not None}
    if default in ("", None, {}):
        return ""
    text = json.dumps(default, ensure_ascii=False)
    return f"`{text}`" if len(text) <= LONGEST_DEFAULT else "see its own table"


def _taken(field: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a field takes, each choice in words."""
    for choice in field.get("anyOf") or field.get("oneOf") or [field]:
        yield from _one(choice, schema)


def _one(choice: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[str]:
    if "$ref" in choice:
        name = choice["$ref"].rpartition("/")[2]
        known = schema["$defs"][name]
        yield f"[{name}](#{name.lower()})" if known.get("properties") else " ".join(_one(known, schema))
    elif "anyOf" in choice or "oneOf" in choice:
        yield from _taken(choice, schema)
    elif "const" in choice or "enum" in choice:
        yield " ".join(f"`{value}`" for value in choice.get("enum", [choice.get("const")]))
    elif choice.get("type") == "array":
        yield f"a list of {' or '.join(_items(choice, schema))}"
    elif choice.get("type") == "object":
        value_schema = choice.get("additionalProperties")
        yield (
            f"a mapping to {' or '.join(_taken(value_schema, schema))}"
            if isinstance(value_schema, dict) and value_schema
            else "a mapping"
        )
    elif choice.get("type") != "null":
        yield _simple(choice)


def _items(choice: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[str]:
    kinds = choice.get("prefixItems") or [choice.get("items") or {}]
    found = [word for kind in kinds for word in _taken(kind, schema)]
    yield from dict.fromkeys(found)


def _simple(choice: Mapping[str, Any]) -> str:
    if choice.get("pattern") == OWN_PATTERN:
        return "a dotted path"
    limits = [f"{words} {choice[name]}" for name, words in LIMITS.items() if name in choice]
    return " ".join([SIMPLE.get(choice.get("type", ""), "anything"), *limits])
