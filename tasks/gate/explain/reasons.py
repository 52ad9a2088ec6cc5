"""Why a gate failed: the commonest reason among the rows that it is about, in the words of the server or the parser."""

from collections.abc import Sequence

from duckdb import DuckDBPyConnection

from kasasagi.blocks.hints import command
from kasasagi.blocks.models.llm import PASSING
from kasasagi.blocks.workspace.runs import Run
from kasasagi.tasks.gate.explain.words import OF_REJECTED
from kasasagi.tasks.gate.outcome import Outcome

DETAIL_CHARACTERS = 200
_COMMONEST = """
SELECT reason, count(*) AS rows, mode(detail) AS detail FROM quarantine
WHERE stage = $stage AND ($all OR list_contains($reasons, reason)) GROUP BY reason ORDER BY rows DESC, reason LIMIT 1
"""


def commonest_reason(tables: DuckDBPyConnection, run: Run, failed: Sequence[Outcome]) -> str | None:
    """Return what most of the quarantined rows of the first failed stage say, and how to see them.

    None where that stage has quarantined nothing, or the expectation looks at other rows.

    Args:
        tables: The tables of the run.
        run: The run.
        failed: The outcomes that stop the run.
    """
    stage, column = failed[0].stage, failed[0].arguments.get("column")
    if column is not None and column not in OF_REJECTED:
        return None
    transient = any("no_answer" in one.expectation for one in failed)
    arguments = {"stage": stage, "all": not transient, "reasons": sorted(PASSING)}
    found = tables.execute(_COMMONEST, arguments).fetchone()
    if found is None:
        return None
    reason, rows, detail = found
    words = f": {str(detail)[:DETAIL_CHARACTERS]}" if detail else ""
    again = "; run again to ask only what is missing" if transient else ""
    see = command("quarantine", run.id, "--stage", stage, workspace=run.workspace.folder)
    return f"most often {reason} ({rows:,} {'row' if rows == 1 else 'rows'}{words}){again}; see {see}"
