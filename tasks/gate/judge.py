"""Runs a stage's expectations with Great Expectations and says how each came out."""

import logging
import math
import threading
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Literal

import duckdb
import pandas as pd

from blocks import quiet
from blocks.garbage import unsearched
from tasks.gate.config import Expectation
from tasks.gate.frames import stage_frame, stage_frames, stage_rows
from tasks.gate.outcome import Outcome
from tasks.gate.tally import Tally, outcome_of, speaks_of_rows_alone

STANDARD_ERRORS = 3.0
ROWS_AT_ONCE = 100_000
_ONE_AT_A_TIME = threading.RLock()


def judge_stage(
    tables: duckdb.DuckDBPyConnection,
    stage: str,
    scope: Literal["scout", "whole"],
    expectations: Sequence[Expectation],
    rows_at_once: int = ROWS_AT_ONCE,
) -> list[Outcome]:
    """The outcome of every expectation that a stage has at this scope; none where it has none.

    Where the stage has more than `rows_at_once` rows, what is said of each row alone is judged in pieces of so many and
    summed up; what is said of all rows together (uniqueness, counts, means) sees its own columns of the whole.
    """
    due = [one for one in expectations if one.stage == stage and one.scope in (scope, "both")]
    if not due:
        return []
    with _ONE_AT_A_TIME:
        if stage_rows(tables, stage) <= rows_at_once:
            frame = stage_frame(tables, stage, _columns_of(due))
            return [_evaluate(frame, one, scope) for one in due]
        apart = {place: one for place, one in enumerate(due) if speaks_of_rows_alone(one)}
        tallies = _in_pieces(stage_frames(tables, stage, _columns_of(apart.values()), rows_at_once), apart)
        return [
            outcome_of(one, scope, one.arguments, tallies[place])
            if place in tallies
            else _evaluate(stage_frame(tables, stage, _columns_of([one])), one, scope)
            for place, one in enumerate(due)
        ]


def _columns_of(expectations: Iterable[Expectation]) -> set[str]:
    """The columns that some expectations name."""
    return {column for one in expectations for column in one.columns}


@cache
def _batch_definition() -> Any:
    """Where frames are handed to Great Expectations: one for this process, made with nothing that is shown or sent."""
    quiet.switch_off_telemetry()
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("gate").add_dataframe_asset("rows")
    return asset.add_batch_definition_whole_dataframe("all")


def warm_up_beside() -> None:
    """Begin to import Great Expectations, which takes seconds, in a thread, while something else is waited for."""
    threading.Thread(target=_warm_up, name="import-great-expectations", daemon=True).start()


def _warm_up() -> None:
    with _ONE_AT_A_TIME, unsearched():
        _batch_definition()


def _evaluate(frame: pd.DataFrame, one: Expectation, scope: Literal["scout", "whole"]) -> Outcome:
    """One expectation on one frame."""
    arguments = _relaxed(one, frame) if scope == "scout" else one.arguments
    return outcome_of(one, scope, arguments, _validated(frame, one, arguments))


def _in_pieces(frames: Iterable[pd.DataFrame], expectations: Mapping[int, Expectation]) -> dict[int, Tally]:
    """What some expectations saw in all frames together, by the number that each has."""
    tallies: dict[int, Tally] = {}
    for frame in frames:
        for number, one in expectations.items():
            seen = _validated(frame, one, one.arguments)
            tallies[number] = tallies[number].with_more(seen, one) if number in tallies else seen
    return tallies


def _validated(frame: pd.DataFrame, one: Expectation, arguments: dict[str, Any]) -> Tally:
    """What an expectation saw in a frame; whatever keeps it from being evaluated is its fault."""
    try:
        import great_expectations.expectations as gxe

        built = getattr(gxe, one.expectation)(severity=one.severity, **arguments)
        batch = _batch_definition().get_batch({"dataframe": frame})
        outcome = batch.validate(built, result_format="SUMMARY").to_json_dict()
    except Exception as error:
        return Tally(fault=f"{type(error).__name__}: {error}")
    return Tally(_raised(outcome), bool(outcome["success"]), outcome["result"])


def unexpected_places(frame: pd.DataFrame, one: Expectation) -> list[int]:
    """The places of the rows that an expectation did not expect; none where it does not judge rows one by one."""
    import great_expectations.expectations as gxe

    with _ONE_AT_A_TIME:
        try:
            batch = _batch_definition().get_batch({"dataframe": frame.reset_index(drop=True)})
            built = getattr(gxe, one.expectation)(severity=one.severity, **one.arguments)
            found = batch.validate(built, result_format="COMPLETE").to_json_dict()["result"]
        except Exception:  # what cannot be evaluated has no rows to show; its outcome says why
            return []
    return [int(place) for place in found.get("unexpected_index_list") or () if isinstance(place, int)]


def _raised(outcome: dict[str, Any]) -> str | None:
    """The message of an exception inside a result, wherever Great Expectations put it."""
    information = outcome.get("exception_info") or {}
    if information.get("raised_exception"):
        return str(information.get("exception_message"))
    for value in information.values():
        if isinstance(value, dict) and value.get("raised_exception"):
            return str(value.get("exception_message"))
    return None


def _relaxed(one: Expectation, frame: pd.DataFrame) -> dict[str, Any]:
    """The arguments for a scout: a share is held against its bound less three standard errors.

    A chunk is a sample: a share just within its bound in the whole must not stop a run because of a hundred rows.
    """
    arguments = one.arguments
    column, mostly = arguments.get("column"), arguments.get("mostly")
    if mostly is None or column not in frame:
        return arguments
    count = max(1, int(frame[column].notna().sum()))
    slack = STANDARD_ERRORS * math.sqrt(max(mostly * (1 - mostly), 1 / count) / count)
    return {**arguments, "mostly": max(0.0, mostly - slack)}
