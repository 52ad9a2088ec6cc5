"""Validation results in a run's folder: what was expected and counted, and no value of any row."""

import json
from pathlib import Path
from typing import Any, Literal

import pytest
from duckdb import DuckDBPyConnection

from kasasagi.blocks.workspace.runs import Run, WorkspaceError
from kasasagi.tasks.gate.evaluation.evaluate import judge_stage
from kasasagi.tasks.gate.expectation import Expectation
from kasasagi.tasks.gate.outcome import Outcome, keep_outcomes
from kasasagi.tasks.gate.validation_results import read_results, seen_on_scout
from kasasagi.tasks.pipeline import default_expectations
from tests.tasks.test_gate import refused, responses, run, tables

__all__ = ["run"]
SECRET = "a private answer"


def kept(run: Run, *expectations: Expectation) -> dict[str, Any]:
    """What stands in the file after some expectations were judged on answers that are private, by expectation."""
    rows = [{**row, "prompt_tokens": 40_417} for row in responses(8, content=SECRET)]
    with tables(run, responses=rows, quarantine=refused(2)) as connection:
        keep_outcomes(run, "respond", "whole", judge_stage(connection, "respond", "whole", expectations))
    text = (run.folder / "gates" / "respond-whole.json").read_text()
    assert SECRET not in text
    assert "40417" not in text
    read = json.loads(text)
    assert (read["run"], read["stage"], read["scope"]) == ("run", "respond", "whole")
    return {"success": read["success"], **{one["expectation"]: one for one in read["results"]}}


def one(expectation: str, **fields: Any) -> Expectation:
    return Expectation(stage="respond", expectation=expectation, **fields)


def test_a_result_says_what_was_expected_counted_and_whether_it_holds(run: Run) -> None:
    [default] = [one for one in default_expectations() if one.name == "ExpectColumnValuesToBeInSet(refused)"]
    found = kept(run, default)
    result = found["ExpectColumnValuesToBeInSet(refused)"]
    assert (found["success"], result["success"], result["severity"]) == (False, False, "warning")
    assert result["name"] == "refusals"
    assert result["arguments"] == {"column": "refused", "value_set": [False], "mostly": 0.9}
    assert (result["counts"]["element_count"], result["counts"]["unexpected_count"]) == (10, 2)
    assert result["fault"] is None


@pytest.mark.parametrize(
    "expectation",
    [
        one("ExpectColumnValuesToBeInSet", column="content", value_set=["other"]),
        one("ExpectColumnDistinctValuesToBeInSet", column="content", value_set=["other"]),
        one("ExpectColumnMostCommonValueToBeInSet", column="content", value_set=["other"]),
        one("ExpectColumnMaxToBeBetween", column="prompt_tokens", max_value=3),
        one("ExpectColumnMedianToBeBetween", column="prompt_tokens", max_value=3),
        one("ExpectColumnValuesToBeBetween", column="content", max_value=3),
        one("UnexpectedRowsExpectation", unexpected_rows_query="SELECT content::INT FROM {batch}"),
    ],
)
def test_no_value_of_a_row_stands_in_a_result(run: Run, expectation: Expectation) -> None:
    result = kept(run, expectation)[expectation.name]
    assert not result["success"]
    assert all(isinstance(value, int | float) for value in result["counts"].values())


def test_counts_and_means_of_all_rows_are_kept_and_an_exception_by_its_kind(run: Run) -> None:
    query = one("UnexpectedRowsExpectation", unexpected_rows_query="SELECT * FROM {batch} WHERE refused")
    broken = one("UnexpectedRowsExpectation", unexpected_rows_query="SELECT * FROM {batch} WHERE nowhere")
    found = kept(run, one("ExpectTableRowCountToBeBetween", min_value=1), query, broken)
    assert found["ExpectTableRowCountToBeBetween"]["counts"] == {"observed_value": 10}
    assert found[query.name]["counts"] == {"observed_value": 2}
    assert (found[broken.name]["counts"], found[broken.name]["fault"]) == ({}, "BinderException")


def test_results_are_read_as_they_were_judged_and_a_damaged_file_is_named(run: Run) -> None:
    kept(run, one("ExpectTableRowCountToBeBetween", min_value=1))
    assert [(one.stage, one.scope, one.success) for one in read_results(run)] == [("respond", "whole", True)]
    file: Path = run.folder / "gates" / "respond-whole.json"
    file.write_text("{")
    with pytest.raises(WorkspaceError, match=r"respond-whole\.json is damaged"):
        read_results(run)


def test_only_a_failure_with_the_figures_of_the_first_chunk_was_seen_there(run: Run) -> None:
    [refusals] = [one for one in default_expectations() if one.name == "ExpectColumnValuesToBeInSet(refused)"]

    def judged(connection: DuckDBPyConnection, scope: Literal["scout", "whole"]) -> list[Outcome]:
        return judge_stage(connection, "respond", scope, [refusals])

    with tables(run, responses=responses(2), quarantine=refused(20)) as connection:
        scout, same = judged(connection, "scout"), judged(connection, "whole")
    with tables(run, responses=responses(3), quarantine=refused(20)) as connection:
        more = judged(connection, "whole")
    keep_outcomes(run, "respond", "scout", scout)
    assert [one.success for one in (*same, *more)] == [False, False]
    assert seen_on_scout(run, "respond", [one.result() for one in same]) == [True]
    assert seen_on_scout(run, "respond", [one.result() for one in more]) == [False]
    assert seen_on_scout(run, "filter", [one.result() for one in same]) == [False]
