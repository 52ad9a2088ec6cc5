"""What the card of a mix says of its parts: their runs, what they gave, and who made them."""

from collections.abc import Iterator, Mapping
from typing import Any

from duckdb import DuckDBPyConnection

from kasasagi.tasks.mix.about import is_mix, parts_in
from kasasagi.tasks.publish.card.markdown import cell, mask_secrets, table
from kasasagi.tasks.publish.card.provenance import SOURCE, UNKNOWN, model_of, source_of
from kasasagi.tasks.publish.config import PublishConfig

_HEADER = ("part", "run", "recipe", "pairs of the run", "without duplicates", "in the mix", "share", "wanted share")


def parts_section(connection: DuckDBPyConnection, config: PublishConfig) -> list[str]:
    """Return the sections on the parts of a mix, and on the sources and licences of each; nothing for another run."""
    parts = parts_in(connection)
    if not parts:
        return []
    total = sum(one["pairs"] for one in parts)
    counts = [(*_named(one), *_counted(one, total)) for one in parts]
    made = [row for one in parts for row in _made_by(one, config)]
    failed = [f"{cell(one['part'])}: {one['failed_gates']:,}" for one in parts if one["failed_gates"]]
    return [
        "## Parts",
        "The pairs come from finished runs, which are the parts of this mix. The columns `part` and `part_run` say of "
        "each row where it comes from, and the names of models and judges have the part in front.",
        table(_HEADER, counts),
        *([f"Gates that failed in the runs of these parts: {', '.join(failed)}."] if failed else []),
        "## Sources and licences",
        table(("part", "here", "what it is", "licence"), made),
        "A licence is unknown if the part's recipe does not name it. The terms of every source and model that "
        "contributed to the data apply in addition to those of the dataset.",
    ]


def _named(part: Mapping[str, Any]) -> tuple[str, str, str]:
    return part["part"], part["run"], part["recipe"]


def _counted(part: Mapping[str, Any], total: int) -> tuple[Any, ...]:
    wanted = part["wanted_share"]
    share = f"{part['pairs'] / total:.1%}" if total else ""
    return part["pairs_in"], part["pairs_left"], part["pairs"], share, "" if wanted is None else f"{wanted:g}"


def _made_by(part: Mapping[str, Any], config: PublishConfig, name: str = "") -> Iterator[tuple[str, str, str, str]]:
    """Yield the dataset, the source and the models of a part, each with its licence; those of a mix part by part."""
    about, name = part["about"], name or str(part["part"])
    recipe = mask_secrets(about["recipe"])
    publish = recipe.get("publish") or {}
    named = publish.get("licenses") or {}
    licence = config.licenses.get(name) or publish.get("license") or UNKNOWN
    yield name, "dataset", f"pairs of the recipe {part['recipe']}", licence
    if is_mix(recipe):
        for inner in about["parts"]:
            yield from _made_by(inner, config, f"{name}/{inner['part']}")
        return
    yield name, SOURCE, source_of(recipe.get("source") or {}), named.get(SOURCE, UNKNOWN)
    judges = _judges(recipe.get("judge") or {})
    for label, model in (recipe.get("models") or {}).items():
        yield name, f"{label} (judge)" if label in judges else label, *model_of(named, label, model)


def _judges(judge: Mapping[str, Any]) -> list[str]:
    """Return the models that judge, by their names in the recipe."""
    entries = judge.get("models") or [judge.get("model")]
    return [str(one.get("use") if isinstance(one, Mapping) else one) for one in entries]
