"""Runs a stage's expectations with Great Expectations and says how each came out."""

import logging
import math
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from kasasagi.blocks import telemetry
from kasasagi.blocks.gc_pause import gc_paused
from kasasagi.tasks.gate.evaluation.frames import stage_frame, stage_frames, stage_rows
from kasasagi.tasks.gate.evaluation.known_outcomes import GateScope, Judge
from kasasagi.tasks.gate.evaluation.observation import ExpectationCounts, outcome_of, speaks_of_rows_alone
from kasasagi.tasks.gate.evaluation.queries import count_unexpected
from kasasagi.tasks.gate.expectation import Expectation, columns_of
from kasasagi.tasks.gate.outcome import Outcome
from kasasagi.tasks.gate.own import built, with_own_defaults

if TYPE_CHECKING:
    import pandas as pd

STANDARD_ERRORS = 3.0
ROWS_AT_ONCE = 100_000
_ONE_AT_A_TIME = threading.RLock()


def judge_stage(
    tables: duckdb.DuckDBPyConnection,
    stage: str,
    scope: GateScope,
    expectations: Sequence[Expectation],
    base: Path = Path(),
    judge: Judge | None = None,
) -> list[Outcome]:
    """Return the outcome of every expectation on a stage at this scope, without audits (`audits.judge_audits`).

    With more than ROWS_AT_ONCE rows, expectations on single rows are evaluated in pieces and summed up; expectations on
    all rows together (uniqueness, counts, means) read only their own columns.

    Args:
        tables: The tables of the run.
        stage: The stage.
        scope: Whether the tables contain the first chunk or all rows.
        expectations: The recipe's expectations, on this stage and on others.
        base: The recipe's folder, which contains own classes.
        judge: Evaluates the library's own expectations; None means judge_together, in this process.
    """
    here = [one for one in expectations if one.stage == stage and one.scope in (scope, "both")]
    expected = [one for one in here if not one.is_audit]
    if not expected:
        return []
    with _ONE_AT_A_TIME:
        shared = {
            place: one for place, one in enumerate(expected) if not one.is_own and one.unexpected_rows_query is None
        }
        judged = (judge or partial(judge_together, tables))(scope, shared) if shared else {}
        return [
            judged[place] if place in judged else _judge_alone(tables, with_own_defaults(one, base), scope, base)
            for place, one in enumerate(expected)
        ]


def judge_together(
    tables: duckdb.DuckDBPyConnection, scope: GateScope, expectations: Mapping[int, Expectation]
) -> dict[int, Outcome]:
    """Return the outcomes of some expectations of one stage on frames that they share, by the number that each has."""
    with _ONE_AT_A_TIME:
        stage = next(iter(expectations.values())).stage
        if stage_rows(tables, stage) <= ROWS_AT_ONCE:
            frame = stage_frame(tables, stage, columns_of(expectations.values()))
            return {place: _evaluate(frame, one, scope) for place, one in expectations.items()}
        apart = {place: one for place, one in expectations.items() if speaks_of_rows_alone(one)}
        tallies = _in_pieces(stage_frames(tables, stage, columns_of(apart.values()), ROWS_AT_ONCE), apart)
        summed = {
            place: outcome_of(apart[place], scope, apart[place].arguments, seen) for place, seen in tallies.items()
        }
        others = {place: one for place, one in expectations.items() if place not in summed}
        return {**summed, **{place: _judge_alone(tables, one, scope, Path()) for place, one in others.items()}}


def _judge_alone(tables: duckdb.DuckDBPyConnection, one: Expectation, scope: GateScope, base: Path) -> Outcome:
    """Return the outcome of an expectation on its own rows; an own class that names no column sees all of them."""
    query = one.arguments.get("unexpected_rows_query")
    if query is not None:
        return outcome_of(one, scope, one.arguments, _run_query(tables, one.stage, query))
    columns = None if one.is_own and not one.columns else one.columns
    return _evaluate(stage_frame(tables, one.stage, columns), one, scope, base)


def _run_query(tables: duckdb.DuckDBPyConnection, stage: str, query: str) -> ExpectationCounts:
    """Return what a query found: the expectation holds where it returns no row."""
    try:
        count = count_unexpected(tables, stage, query)
    except (ValueError, duckdb.Error) as error:
        return ExpectationCounts(fault=f"{type(error).__name__}: {error}")
    return ExpectationCounts(None, count == 0, {"observed_value": count})


@cache
def _batch_definition() -> Any:
    """Return where frames are handed to Great Expectations: one for this process, made with nothing that is shown or
    sent.
    """
    telemetry.switch_off_telemetry()
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    import great_expectations as gx
    from great_expectations.data_context.types import base

    base.logger.setLevel(logging.WARNING)  # its module raises its own logger's level
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = base.ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("gate").add_dataframe_asset("rows")
    return asset.add_batch_definition_whole_dataframe("all")


def import_library() -> None:
    """Import Great Expectations, which takes seconds and 150 MB."""
    with _ONE_AT_A_TIME, gc_paused():
        _batch_definition()


def is_library_imported() -> bool:
    """Return whether this process has Great Expectations already."""
    return "great_expectations" in sys.modules


def _evaluate(frame: "pd.DataFrame", one: Expectation, scope: GateScope, base: Path = Path()) -> Outcome:
    """Return one expectation on one frame."""
    arguments = _scout_arguments(one, frame) if scope == "scout" else one.arguments
    return outcome_of(one, scope, arguments, _validate(frame, one, arguments, base))


def _in_pieces(
    frames: Iterable["pd.DataFrame"], expectations: Mapping[int, Expectation]
) -> dict[int, ExpectationCounts]:
    """Return what some expectations saw in all frames together, by the number that each has."""
    tallies: dict[int, ExpectationCounts] = {}
    for frame in frames:
        for number, one in expectations.items():
            seen = _validate(frame, one, one.arguments)
            tallies[number] = tallies[number].with_more(seen, one) if number in tallies else seen
    return tallies


def _validate(
    frame: "pd.DataFrame", one: Expectation, arguments: dict[str, Any], base: Path = Path()
) -> ExpectationCounts:
    """Return what an expectation saw in a frame; what keeps it from being evaluated stands in `fault`."""
    try:
        batch = _batch_definition().get_batch({"dataframe": frame})
        outcome = batch.validate(built(one, arguments, base), result_format="SUMMARY").to_json_dict()
    except Exception as error:
        return ExpectationCounts(fault=f"{type(error).__name__}: {error}")
    return ExpectationCounts(_exception_message(outcome), bool(outcome["success"]), outcome["result"])


def unexpected_places(frame: "pd.DataFrame", one: Expectation, base: Path = Path()) -> list[int]:
    """Return the places of the rows that an expectation did not expect; none where it does not judge rows
    one by one.
    """
    with _ONE_AT_A_TIME:
        try:
            batch = _batch_definition().get_batch({"dataframe": frame.reset_index(drop=True)})
            found = batch.validate(built(one, one.arguments, base), result_format="COMPLETE").to_json_dict()["result"]
        except Exception:  # what cannot be evaluated has no rows to show; its outcome says why
            return []
    return [int(place) for place in found.get("unexpected_index_list") or () if isinstance(place, int)]


def _exception_message(outcome: dict[str, Any]) -> str | None:
    """Return the message of an exception inside a result, wherever Great Expectations put it."""
    information = outcome.get("exception_info") or {}
    if information.get("raised_exception"):
        return str(information.get("exception_message"))
    for value in information.values():
        if isinstance(value, dict) and value.get("raised_exception"):
            return str(value.get("exception_message"))
    return None


def _scout_arguments(one: Expectation, frame: "pd.DataFrame") -> dict[str, Any]:
    """Return the arguments for a scout: a share is held against its bound less three standard errors.

    A chunk is a sample: a share just within its bound in the whole must not stop a run because of a hundred rows.
    """
    arguments = one.arguments
    column, mostly = arguments.get("column"), arguments.get("mostly")
    if mostly is None or column not in frame:
        return arguments
    count = max(1, int(frame[column].notna().sum()))
    slack = STANDARD_ERRORS * math.sqrt(max(mostly * (1 - mostly), 1 / count) / count)
    return {**arguments, "mostly": max(0.0, mostly - slack)}
