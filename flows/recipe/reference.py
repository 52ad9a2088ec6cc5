"""The reference of a recipe as Markdown, made from its model: every key, what it takes, its default, what it is for."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from kasasagi.blocks.own.registry import OWN_PATTERN
from kasasagi.tasks.recipe import Recipe

INTRODUCTION = """# Recipe reference

Every key of a recipe. Made from the model by `kasasagi schema --markdown`; `kasasagi schema` prints the same
as a JSON schema, for an editor.
"""
SIMPLE = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false", "null": "null"}
LONGEST_DEFAULT = 90
LIMITS = {"minimum": "at least", "exclusiveMinimum": "more than", "maximum": "at most", "exclusiveMaximum": "less than"}


def reference() -> str:
    """The whole reference."""
    schema = Recipe.model_json_schema()
    parts = [INTRODUCTION, _section("recipe", schema, schema)]
    parts += [_section(name, one, schema) for name, one in schema["$defs"].items() if one.get("properties")]
    return "\n".join(parts)


def _section(name: str, model: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    required = set(model.get("required", ()))
    lines = [f"## {name}", "", " ".join(model.get("description", "").split()), ""]
    lines += ["| key | takes | default | what it is |", "| --- | --- | --- | --- |"]
    for key, field in model["properties"].items():
        default = "required" if key in required else _value(field.get("default", ""))
        told = " ".join(field.get("description", "").split())
        cells = [f"`{key}`", ", or ".join(_taken(field, schema)), default, told]
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join([*lines, ""])


def _value(default: Any) -> str:
    if isinstance(default, dict):
        default = {key: value for key, value in default.items() if value is not None}
    if default in ("", None, {}):
        return ""
    text = json.dumps(default, ensure_ascii=False)
    return f"`{text}`" if len(text) <= LONGEST_DEFAULT else "see its own table"


def _taken(field: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[str]:
    """What a field takes, each choice in words."""
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
        held = choice.get("additionalProperties")
        yield f"a mapping to {' or '.join(_taken(held, schema))}" if isinstance(held, dict) and held else "a mapping"
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
