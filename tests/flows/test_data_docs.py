"""Data Docs: Great Expectations' pages on a run, which load nothing, run nothing and hold no value of a row."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kasasagi.blocks.workspace.runs import Run
from kasasagi.flows.cli.app import app
from kasasagi.flows.errors import KasasagiError, UsageError
from kasasagi.flows.views.data_docs import write_data_docs
from kasasagi.tasks.gate.evaluation.evaluate import judge_stage
from kasasagi.tasks.gate.expectation import Expectation
from kasasagi.tasks.gate.outcome import keep_outcomes
from kasasagi.tasks.pipeline import default_expectations
from tests.run_example import build_example_run
from tests.tasks.test_gate import refused, responses, run, tables

__all__ = ["run"]
SECRET = "a private answer"
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
QUERY = "SELECT * FROM {batch} WHERE length(content) > 3"
OWN = (
    Expectation(stage="respond", expectation="UnexpectedRowsExpectation", unexpected_rows_query=QUERY),
    Expectation(stage="respond", expectation="nowhere:ExpectOfMine", **{"column": "content"}),
    Expectation(stage="respond", expectation="ExpectColumnValuesToBeUnique", **{"column": HOSTILE}),
    Expectation(
        stage="respond", expectation="ExpectColumnValuesToBeInSet", **{"column": "content", "value_set": [HOSTILE]}
    ),
)


@pytest.fixture
def judged(run: Run) -> Run:
    """A run whose answers were judged, by the defaults and by hostile expectations."""
    with tables(run, responses=responses(8, content=SECRET), quarantine=refused(2)) as connection:
        for scope in ("scout", "whole"):
            keep_outcomes(
                run, "respond", scope, judge_stage(connection, "respond", scope, [*default_expectations(), *OWN])
            )
    return run


def test_each_stage_has_a_page_that_says_what_was_expected_and_counted(judged: Run, tmp_path: Path) -> None:
    index = write_data_docs(judged, tmp_path / "docs")
    assert {file.name for file in index.parent.iterdir()} == {
        "index.html",
        "respond-scout.html",
        "respond-whole.html",
    }
    page = " ".join(re.sub("<[^>]*>", " ", (index.parent / "respond-whole.html").read_text("utf-8")).split())
    assert "values must belong to this set: False , at least 90 % of the time" in page
    assert "$" not in page, "a place of the template that nothing fills"
    assert "2 unexpected values found. 20% of 10 total rows" in page
    assert "Unexpected rows query: SELECT * FROM {batch} WHERE length(content) &gt; 3" in page
    assert "nowhere:ExpectOfMine(content): could not evaluate (OwnPythonError)" in page
    assert "5 of 10 passed" in index.read_text("utf-8")


def test_no_page_loads_or_runs_anything_or_holds_a_value(judged: Run, tmp_path: Path) -> None:
    write_data_docs(judged, tmp_path / "docs")
    for file in (tmp_path / "docs").iterdir():
        page = file.read_text("utf-8")
        assert SECRET not in page
        assert not re.search(r"<script|<link|<img|https?://|url\(", page), file
        assert "default-src 'none'; style-src 'unsafe-inline'" in page


def test_links_between_the_pages_lead_somewhere(judged: Run, tmp_path: Path) -> None:
    folder = write_data_docs(judged, tmp_path / "docs").parent
    for file in folder.iterdir():
        links = re.findall(r'href="([^"#]+)"', file.read_text("utf-8"))
        assert links
        assert all((folder / link).is_file() for link in links), links


def test_docs_replace_earlier_ones_and_nothing_else(judged: Run, tmp_path: Path) -> None:
    write_data_docs(judged, tmp_path / "docs")
    write_data_docs(judged, tmp_path / "docs")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "index.html").write_text("my page")
    with pytest.raises(UsageError, match=r"--data-docs: .*mine is not empty; name a new folder"):
        write_data_docs(judged, tmp_path / "mine")
    assert (tmp_path / "mine" / "index.html").read_text() == "my page"


def test_a_run_that_no_gate_judged_has_none(tmp_path: Path) -> None:
    example = build_example_run(tmp_path, prompts=3)
    arguments = ["report", "-w", str(example.workspace.folder), "--data-docs", str(tmp_path / "docs")]
    ended = CliRunner().invoke(app, arguments)
    assert isinstance(ended.exception, KasasagiError)
    assert "no gate has been evaluated in the run" in str(ended.exception)
    assert not (tmp_path / "docs").exists()
