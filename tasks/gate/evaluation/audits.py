"""Expectations on the figures of audits, which look at all rows of a stage together."""

from collections.abc import Callable, Sequence
from functools import partial

import duckdb

from kasasagi.blocks.workspace.runs import Run
from kasasagi.tasks.gate.evaluation.known_outcomes import GateScope
from kasasagi.tasks.gate.evaluation.observation import ExpectationCounts, outcome_of
from kasasagi.tasks.gate.expectation import Expectation
from kasasagi.tasks.gate.outcome import Outcome
from kasasagi.tasks.tables.run_tables import with_more_memory

NOTHING_SEEN = {"element_count": 0, "missing_count": 0, "unexpected_count": 0, "unexpected_percent": 0.0}
DIGITS = 3


def judge_audits(
    tables: duckdb.DuckDBPyConnection, run: Run, stage: str, scope: GateScope, expectations: Sequence[Expectation]
) -> list[Outcome]:
    """Return the outcomes of the expectations on a stage that hold a figure of an audit against bounds.

    Args:
        tables: The tables of the run.
        run: The run, whose recipe says how it publishes.
        stage: The stage.
        scope: Whether the tables contain the first chunk or all rows.
        expectations: The recipe's expectations, on this stage and on others, of all kinds.
    """
    audits = [one for one in expectations if one.is_audit and one.stage == stage and one.scope in (scope, "both")]
    return [outcome_of(one, scope, one.arguments, _audited(tables, run, one)) for one in audits]


def _audited(tables: duckdb.DuckDBPyConnection, run: Run, one: Expectation) -> ExpectationCounts:
    """Return the figure of an expectation's audit and whether it is within the bounds; no rows where it has none."""
    try:
        figure = with_more_memory(tables, partial(FIGURES[one.expectation], tables, run))
    except Exception as error:
        return ExpectationCounts(fault=f"{type(error).__name__}: {error}")
    if figure is None:
        return ExpectationCounts(None, True, NOTHING_SEEN)
    found = round(figure, DIGITS)
    least, most = one.arguments.get("min_value", found), one.arguments.get("max_value", found)
    return ExpectationCounts(None, least <= found <= most, {"observed_value": found})


# The audits need numpy and more, which most runs' gates do without.
def _shortcut_auc(tables: duckdb.DuckDBPyConnection, run: Run) -> float | None:
    from kasasagi.tasks.reports.known_shortcuts import shortcuts_of

    audit = shortcuts_of(run, tables)
    return None if audit is None or audit.auc is None else audit.auc.value


def _self_preference(tables: duckdb.DuckDBPyConnection, run: Run) -> float | None:
    from kasasagi.tasks.mix.about import models_of
    from kasasagi.tasks.reports.self_preference import self_preference

    rows = self_preference(tables, models_of(tables, run.recipe()))
    return max((row["value"] for row in rows if row["figure"] == "self_preference"), default=None)


def _split_duplicates(tables: duckdb.DuckDBPyConnection, run: Run) -> float | None:
    from kasasagi.tasks.publish.config import PublishConfig
    from kasasagi.tasks.publish.split_audit import split_audit

    found = split_audit(PublishConfig.model_validate(run.recipe().get("publish") or {}), run, tables)
    return found.near / found.tested if found is not None and found.tested else None


FIGURES: dict[str, Callable[[duckdb.DuckDBPyConnection, Run], float | None]] = {
    "ExpectSelfPreferenceToBeBetween": _self_preference,
    "ExpectShortcutAucToBeBetween": _shortcut_auc,
    "ExpectSplitDuplicatesToBeBetween": _split_duplicates,
}
"""What each expectation looks at; None where there is too little to tell."""
