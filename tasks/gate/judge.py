"""Runs a stage's expectations with Great Expectations and says how each came out."""

import logging
import math
import threading
from collections.abc import Sequence
from functools import cache
from typing import Any, Literal

import duckdb
import orjson
import pandas as pd

from blocks import quiet
from tasks.gate.config import Expectation
from tasks.gate.frames import stage_frame
from tasks.gate.outcome import Outcome

STANDARD_ERRORS = 3.0
_ONE_AT_A_TIME = threading.RLock()


def judge_stage(
    tables: duckdb.DuckDBPyConnection,
    stage: str,
    scope: Literal["scout", "whole"],
    expectations: Sequence[Expectation],
) -> list[Outcome]:
    """The outcome of every expectation that a stage has at this scope; none where it has none."""
    due = [one for one in expectations if one.stage == stage and one.scope in (scope, "both")]
    if not due:
        return []
    columns = {
        str(one.arguments[name]) for one in due for name in ("column", "column_A", "column_B") if name in one.arguments
    }
    frame = stage_frame(tables, stage, columns)
    with _ONE_AT_A_TIME:
        batch = _batch_definition().get_batch({"dataframe": frame})
        return [_evaluate(batch, frame, one, scope) for one in due]


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


def warm_up() -> None:
    """Import Great Expectations, which takes seconds, while something else is waited for."""
    with _ONE_AT_A_TIME:
        _batch_definition()


def _evaluate(batch: Any, frame: pd.DataFrame, one: Expectation, scope: Literal["scout", "whole"]) -> Outcome:
    """One expectation; if it cannot be evaluated it has failed, critically."""
    arguments = _relaxed(one, frame) if scope == "scout" else one.arguments
    base = {"stage": one.stage, "scope": scope, "expectation": one.name}
    try:
        import great_expectations.expectations as gxe

        built = getattr(gxe, one.expectation)(severity=one.severity, **arguments)
        outcome = batch.validate(built, result_format="SUMMARY").to_json_dict()
        fault = _raised(outcome)
    except Exception as error:
        fault = f"{type(error).__name__}: {error}"
    if fault is not None:
        why = f"could not evaluate ({fault.strip().splitlines()[0][:300]})"
        return Outcome(**base, severity="critical", success=False, observed="nothing", detail=why)
    return Outcome(
        **base,
        severity=one.severity,
        success=bool(outcome["success"]),
        observed=_observed(outcome["result"]),
        detail=_expected(arguments),
    )


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


def _observed(result: dict[str, Any]) -> str:
    if "unexpected_percent" in result and result.get("element_count") is not None:
        missing = result.get("missing_count") or 0
        count = result["element_count"] - missing
        bad = result.get("unexpected_count") or 0
        share = f"{1 - bad / count:.1%}" if count else "no rows"
        return f"{share} of {count:,} as expected" if count else share
    value = result.get("observed_value")
    return orjson.dumps(value, default=str).decode() if value is not None else "no value"


def _expected(arguments: dict[str, Any]) -> str:
    shown = {name: value for name, value in arguments.items() if name not in ("column", "mostly")}
    words = ", ".join(f"{name} {orjson.dumps(value, default=str).decode()}" for name, value in shown.items())
    mostly = arguments.get("mostly")
    return f"{words or 'it to hold'}{f' in at least {mostly:.1%}' if mostly is not None else ''}"
