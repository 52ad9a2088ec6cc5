"""The card's section on judges that rate answers of their own family."""

from typing import Any

from duckdb import DuckDBPyConnection

from kasasagi.tasks.mix.about import models_of
from kasasagi.tasks.publish.card.markdown import table
from kasasagi.tasks.reports.self_preference import WORDS, self_preference


def judges_section(connection: DuckDBPyConnection, recipe: dict[str, Any]) -> list[str]:
    """Return the section; nothing where no judge rates its own family and another."""
    rows = [
        (WORDS[row["figure"]], row["judge"], row["subject"], f"{row['value']:.1%}", _interval(row), row["cases"])
        for row in self_preference(connection, models_of(connection, recipe))
    ]
    if not rows:
        return []
    return [
        "## Judges and their own family",
        "How often a judge prefers an answer of its own family of models to one of another family, a tie as half, how "
        "often judges of other families prefer the same answers, if there are any, and the difference.",
        table(("figure", "judge", "family", "value", "95% interval", "comparisons"), rows),
    ]


def _interval(row: dict[str, Any]) -> str:
    return f"{row['low']:.1%} to {row['high']:.1%}"
