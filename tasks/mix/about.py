"""What a mix knows of its parts: the table `mix_parts`, and who the models of its rows are."""

from collections.abc import Mapping
from typing import Any

import orjson
from duckdb import DuckDBPyConnection

from kasasagi.tasks.mix.parts import PartRun, columns_of

_FAILED = """
SELECT count(DISTINCT (stage, expectation)) FROM gates AS g WHERE NOT success AND severity = 'critical' AND NOT EXISTS (
    FROM gates AS w WHERE w.scope = 'whole' AND w.success AND w.stage = g.stage AND w.expectation = g.expectation
)
"""
_PARTS = "SELECT * FROM mix_parts ORDER BY part"


def part_row(part: PartRun, pairs_in: int, left: int, pairs: int) -> dict[str, Any]:
    """Return the row of a part in `mix_parts`; about holds its recipe, and its own parts where it is a mix itself."""
    with part.tables() as connection:
        failed = connection.execute(_FAILED).fetchone()
        about = {"recipe": part.run.recipe(), "parts": parts_in(connection)}
    return {
        "part": part.name,
        "run": part.run.id,
        "recipe": part.run.state().name,
        "workspace": str(part.run.workspace.folder),
        "pairs_in": pairs_in,
        "pairs_left": left,
        "pairs": pairs,
        "wanted_share": part.part.share,
        "failed_gates": failed[0] if failed else 0,
        "about": orjson.dumps(about).decode(),
    }


def is_mix(recipe: Mapping[str, Any]) -> bool:
    """Return whether a recipe as plain data mixes runs."""
    return bool((recipe.get("source") or {}).get("kind") == "runs")


def parts_in(tables: DuckDBPyConnection) -> list[dict[str, Any]]:
    """Return the parts of a run with what is known of them; none where it is no mix."""
    if not columns_of(tables, "mix_parts"):
        return []
    found = tables.execute(_PARTS)
    names = [column[0] for column in found.description or ()]
    rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    return [{**row, "about": orjson.loads(row["about"])} for row in rows]


def models_of(tables: DuckDBPyConnection, recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return the models of a run by the names that its tables use for them; those of a mix have a part in front.

    Args:
        tables: The tables of the run.
        recipe: Its recipe as plain data.
    """
    return _models(recipe, parts_in(tables)) if is_mix(recipe) else dict(recipe.get("models") or {})


def _models(recipe: Mapping[str, Any], parts: list[dict[str, Any]]) -> dict[str, Any]:
    if not is_mix(recipe):
        return dict(recipe.get("models") or {})
    return {
        f"{one['part']}/{label}": model
        for one in parts
        for label, model in _models(one["about"]["recipe"], one["about"]["parts"]).items()
    }
