"""Expectations of a recipe's own: SQL on a stage's rows, and classes in a Python file beside the recipe."""

from pathlib import Path
from typing import Any

import duckdb
import pytest

from kasasagi.blocks.workspace.runs import Run
from kasasagi.tasks.gate.evaluation.evaluate import judge_stage
from kasasagi.tasks.gate.expectation import Expectation
from kasasagi.tasks.gate.explain.failing import failing_rows
from kasasagi.tasks.gate.explain.words import plain_name
from kasasagi.tasks.gate.outcome import Outcome
from kasasagi.tasks.gate.own import class_problem
from kasasagi.tasks.pipeline import default_expectations
from tests.tasks.test_gate import refused, responses, run, tables

__all__ = ["run"]
FILE = """
import great_expectations.expectations as gxe


class ExpectShortAnswers(gxe.ExpectColumnValueLengthsToBeBetween):
    column: str = "content"
    max_value: int = 8
    mostly: float = 0.5


class ExpectNothingLong(gxe.ExpectColumnValueLengthsToBeBetween):
    column: str = "content"
    max_value: int = 8


class ExpectNoRefusedRow(gxe.UnexpectedRowsExpectation):
    unexpected_rows_query: str = "SELECT * FROM {batch} WHERE refused"


class ExpectColumnValuesToBeInSet(gxe.ExpectColumnValuesToBeInSet):
    value_set: list = [True, False]


class ExpectEveryColumn(gxe.ExpectTableColumnsToMatchSet):
    column_set: list = ["content"]
    exact_match: bool = False


class ExpectNothingOfGreatExpectations:
    pass
"""


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tmp_path / "recipes"
    folder.mkdir()
    (folder / "my_gates.py").write_text(FILE)
    return folder


def sql(query: str, **fields: Any) -> Expectation:
    return Expectation(stage="respond", expectation="UnexpectedRowsExpectation", unexpected_rows_query=query, **fields)


def own(name: str, **fields: Any) -> Expectation:
    return Expectation(stage="respond", expectation=name, **fields)


def outcome(connection: duckdb.DuckDBPyConnection, one: Expectation, base: Path = Path()) -> Outcome:
    [found] = judge_stage(connection, "respond", "whole", [one], base=base)
    return found


def test_a_query_holds_where_it_returns_no_row(run: Run) -> None:
    with tables(run, responses=responses(3), quarantine=refused(2)) as connection:
        fine = outcome(connection, sql("SELECT * FROM {batch} WHERE length(content) > 5;"))
        bad = outcome(connection, sql("SELECT response_id FROM {batch} WHERE refused -- those\n"))
    assert (fine.success, fine.observed, fine.detail) == (True, "0 rows", "at most 0")
    assert (bad.stops, bad.observed) == (True, "2 rows")


def test_a_query_sees_kept_columns_and_may_join_the_rows_with_themselves(run: Run) -> None:
    prompts = [{"prompt_id": f"p{n}", "topic": "birds"} for n in range(3)]
    query = "SELECT a.topic FROM {batch} AS a JOIN {batch} AS b USING (topic) GROUP BY 1 HAVING count(*) > 8"
    with tables(run, prompts=prompts, responses=responses(3)) as connection:
        assert outcome(connection, sql(query)).observed == "1 row"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT * FROM read_csv('/etc/passwd')", "file system operations are disabled"),
        ("COPY {batch} TO '/tmp/rows.csv'", "not one SELECT"),
        ("SELECT 1; SELECT 2", "more than one SELECT"),
        ("SET enable_external_access = true", "not one SELECT"),
        ("SELECT * FROM responses", "responses"),
        ("SELECT * FROM {batch} WHERE nowhere", "nowhere"),
    ],
)
def test_a_query_sees_the_rows_of_its_stage_alone_and_changes_nothing(run: Run, query: str, message: str) -> None:
    with tables(run, responses=responses(3)) as connection:
        found = outcome(connection, sql(query, severity="info"))
        assert connection.execute("SELECT count(*) FROM responses").fetchone() == (3,)
    assert found.stops
    assert "could not evaluate" in found.detail
    assert message in found.detail


def test_two_queries_of_a_stage_are_told_apart_by_their_words(run: Run) -> None:
    described = sql("SELECT * FROM {batch} WHERE refused", description="refused answers")
    assert sql("SELECT *\n FROM {batch}").name == "UnexpectedRowsExpectation(SELECT * FROM {batch})"
    assert plain_name(described.name) == "unexpected rows: refused answers"
    with tables(run, quarantine=refused(1)) as connection:
        assert outcome(connection, described).sentence() == (
            "respond: unexpected rows: refused answers: 1 row (at most 0)"
        )


def test_the_rows_behind_a_query_are_shown_where_it_returns_their_ids(run: Run) -> None:
    with tables(run, responses=responses(3), quarantine=refused(2)) as connection:
        shown = failing_rows(connection, sql("SELECT * FROM {batch} WHERE refused ORDER BY response_id"), 1)
        assert failing_rows(connection, sql("SELECT model FROM {batch}")) == []
        assert failing_rows(connection, sql("SELECT nowhere FROM {batch}")) == []
    assert shown == [{"id": "q0", "value": "no", "text": "no"}]


def test_an_own_class_brings_its_column_and_its_share_along(run: Run, base: Path) -> None:
    rows = [*responses(30), *({**row, "response_id": f"l{n}"} for n, row in enumerate(responses(20, content="x" * 9)))]
    with tables(run, responses=rows) as connection:
        found = outcome(connection, own("my_gates:ExpectShortAnswers"), base)
        strict = outcome(connection, own("my_gates.ExpectShortAnswers", mostly=0.7), base)
        shown = failing_rows(connection, own("my_gates:ExpectShortAnswers"), 1, base)
    assert (found.success, found.observed, found.expectation) == (True, "60.0% of 50", "my_gates:ExpectShortAnswers")
    assert (strict.stops, strict.expectation) == (True, "my_gates.ExpectShortAnswers")
    assert shown[0]["text"] == "x" * 9


def test_an_own_class_without_a_share_lets_no_row_pass_on_few_rows_either(run: Run, base: Path) -> None:
    rows = [*responses(9), {**responses(1, content="x" * 9)[0], "response_id": "long"}]
    with tables(run, responses=rows) as connection:
        [found] = judge_stage(connection, "respond", "scout", [own("my_gates:ExpectNothingLong")], base=base)
    assert (found.stops, found.observed) == (True, "9 of 10")


def test_an_own_class_of_a_query_runs_that_query(run: Run, base: Path) -> None:
    with tables(run, responses=responses(1), quarantine=refused(2)) as connection:
        assert outcome(connection, own("my_gates:ExpectNoRefusedRow"), base).observed == "2 rows"


def test_an_own_class_that_names_no_rows_sees_all_columns(run: Run, base: Path) -> None:
    with tables(run, responses=responses(1)) as connection:
        assert outcome(connection, own("my_gates:ExpectEveryColumn"), base).success


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("my_gates:ExpectColumnValuesToBeInSet", "bears the name of a class of Great Expectations"),
        ("my_gates:ExpectNothingOfGreatExpectations", "is not a class of an expectation"),
        ("my_gates:ExpectShortAnswrs", "did you mean 'ExpectShortAnswers'"),
        ("my_gate:ExpectShortAnswers", "did you mean 'my_gates'"),
        ("outside:ExpectShortAnswers", "is not in the recipe's folder"),
    ],
)
def test_an_own_class_that_cannot_be_used_says_why(run: Run, base: Path, name: str, message: str) -> None:
    (base.parent / "outside.py").write_text(FILE)
    (base / "outside.py").symlink_to(base.parent / "outside.py")
    assert message in (class_problem(own(name), base) or "")
    with tables(run, responses=responses(1)) as connection:
        assert outcome(connection, own(name), base).stops


def test_an_own_class_never_takes_the_place_of_one_of_the_library(run: Run, base: Path) -> None:
    default = next(one for one in default_expectations() if one.name == "ExpectColumnValuesToBeInSet(refused)")
    with tables(run, responses=responses(40), quarantine=refused(40)) as connection:
        outcome(connection, own("my_gates:ExpectColumnValuesToBeInSet", column="refused"), base)
        outcome(connection, own("my_gates:ExpectShortAnswers"), base)
        assert outcome(connection, default).stops


def test_a_changed_file_counts_at_once(run: Run, base: Path) -> None:
    with tables(run, responses=responses(40)) as connection:
        assert outcome(connection, own("my_gates:ExpectShortAnswers"), base).success
        (base / "my_gates.py").write_text(FILE.replace("max_value: int = 8", "max_value: int = 2"))
        assert outcome(connection, own("my_gates:ExpectShortAnswers"), base).stops
