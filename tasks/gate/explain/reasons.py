"""Why a gate failed: the commonest reason among the rows that it is about, in the words of the server or the parser."""

from collections.abc import Sequence
from typing import NamedTuple

from duckdb import DuckDBPyConnection

from kasasagi.blocks.hints import command
from kasasagi.blocks.models.llm import PASSING
from kasasagi.blocks.workspace.runs import Run
from kasasagi.tasks.gate.expectation import AUDITS, BY_QUERY
from kasasagi.tasks.gate.explain.losses import FEWER_LEFT
from kasasagi.tasks.gate.explain.words import OF_REJECTED
from kasasagi.tasks.gate.outcome import Outcome

DETAIL_CHARACTERS = 200
_COMMONEST = """
SELECT reason, count(*) AS rows, mode(detail) AS detail FROM quarantine
WHERE stage = $stage AND ($all OR list_contains($reasons, reason)) GROUP BY reason ORDER BY rows DESC, reason LIMIT 1
"""
_OF_RESPONSES = {"stage": "respond", "all": True, "reasons": []}
_SILENT = """
WITH asked AS (
    SELECT model, 1 AS answers FROM responses
    UNION ALL SELECT payload->>'model', CASE WHEN length(payload->>'content') > 0 THEN 1 ELSE 0 END
    FROM quarantine WHERE stage = 'respond' AND reason <> 'budget_spent'
)
SELECT model, count(*) FROM asked WHERE model IS NOT NULL GROUP BY model HAVING sum(answers) = 0 ORDER BY model
"""
OF_VERDICTS = ("chosen_from_favourite", "chosen_is_longer", "judges_agree", "same_in_both_orders")
"""Columns of default expectations that the figures of the judges explain."""


class Cause(NamedTuple):
    """Return why an expectation fails, if its rows show it (otherwise empty), and the command that shows more."""

    reason: str
    see: str

    def sentence(self) -> str:
        """Return the two in one sentence."""
        return f"{self.reason}; see {self.see}" if self.reason else f"see {self.see}"


def cause_of(tables: DuckDBPyConnection, run: Run, stage: str, expectation: str) -> Cause:
    """Return the cause of an expectation that does not hold.

    Args:
        tables: The tables of the run.
        run: The run.
        stage: The stage.
        expectation: The expectation's name, as an outcome has it.
    """
    if (found := _commonest_reason(tables, run, stage, [expectation])) is not None:
        return found
    of_audit = "report" if expectation in AUDITS else "show"
    verb = "judge" if _column_of(expectation) in OF_VERDICTS else of_audit
    return Cause("", command(verb, run.id, workspace=run.workspace.folder))


def commonest_reason(tables: DuckDBPyConnection, run: Run, failed: Sequence[Outcome]) -> str | None:
    """Return what most of the quarantined rows of the first failed stage say, and how to see them.

    None where that stage has quarantined nothing, or the expectation looks at other rows.

    Args:
        tables: The tables of the run.
        run: The run.
        failed: The outcomes that stop the run.
    """
    found = _commonest_reason(tables, run, failed[0].stage, [one.expectation for one in failed])
    return None if found is None else found.sentence()


def _column_of(expectation: str) -> str | None:
    """Return the column that an expectation's name holds in parentheses, such as ExpectColumnToExist(content)."""
    name, _, column = expectation.removesuffix(")").partition("(")
    return column if column and name != BY_QUERY else None


def _commonest_reason(tables: DuckDBPyConnection, run: Run, stage: str, expectations: Sequence[str]) -> Cause | None:
    column = _column_of(expectations[0])
    if expectations[0] in AUDITS or (column is not None and column not in OF_REJECTED):
        return None
    transient = any("no_answer" in one for one in expectations)
    arguments = {"stage": stage, "all": not transient, "reasons": sorted(PASSING)}
    found = tables.execute(_COMMONEST, arguments).fetchone()
    if found is None:
        return None
    reason, rows, detail = found
    if reason == "too_few_responses" and (removed := tables.execute(_COMMONEST, _OF_RESPONSES).fetchone()):
        see = command("quarantine", run.id, "--stage", "respond", workspace=run.workspace.folder)
        return Cause(f"{FEWER_LEFT} ({removed[0]} {removed[1]:,})", see)
    words = f": {str(detail)[:DETAIL_CHARACTERS]}" if detail else ""
    again = "; run again to ask only what is missing" if transient else ""
    see = command("quarantine", run.id, "--stage", stage, workspace=run.workspace.folder)
    silent = _silent_responders(tables) if any("responder_answers" in one for one in expectations) else ""
    return Cause(f"{silent}most often {reason} ({rows:,} {'row' if rows == 1 else 'rows'}{words}){again}", see)


def _silent_responders(tables: DuckDBPyConnection) -> str:
    """Return which responders gave no answer at all, as the beginning of a sentence."""
    return "".join(f"{model!r} answered none of {rows:,}; " for model, rows in tables.execute(_SILENT).fetchall())
