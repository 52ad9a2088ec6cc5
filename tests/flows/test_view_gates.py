"""What a summary says of gates: those that had no rows have not passed, and what was not judged is named."""

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from kasasagi.blocks.workspace.runs import Run, Workspace
from kasasagi.blocks.workspace.shards import Account, Handle
from kasasagi.flows.reporting.artifacts import gates_table
from kasasagi.flows.views.overview.gates import count_outcomes, draw_gates
from kasasagi.flows.views.overview.show import print_summary
from kasasagi.flows.views.overview.summary import summary
from kasasagi.flows.views.report.page import report
from kasasagi.flows.views.table_reader import reading
from kasasagi.tasks.publish import PublishConfig, release
from kasasagi.tasks.tables import table
from kasasagi.tasks.tables.run_tables import build_database
from tests.run_example import build_example_run

PASSED = {"success": True, "observed": "98.3% of 120"}
EMPTY = {"success": True, "observed": "no rows"}
FAILED = {"success": False, "observed": "12.0% of 120"}


def run_with_gates(folder: Path, *outcomes: dict[str, Any], status: str = "done", scope: str = "whole") -> Run:
    """Return an example whose judge's gates came out so, one expectation each."""
    run = build_example_run(folder, prompts=9, ended=False)
    usual = {"stage": "judge", "scope": scope, "severity": "critical", "detail": "at most 5.0%"}
    rows = [{**usual, "expectation": f"ExpectColumnToExist(c{n})", **one} for n, one in enumerate(outcomes)]
    shards = {"gates": run.workspace.shards.write(table("gates", rows))}
    run.add(Handle(stage=f"gate judge {scope}", run=run.id, shards=shards, account=Account()), reused=False)
    build_database(run)
    run.save(run.state().model_copy(update={"status": status, "ended": run.state().started + 9}))
    return run


def shown(run: Run, width: int = 160) -> str:
    file = io.StringIO()
    print_summary(run, Console(file=file, width=width))
    return file.getvalue()


@pytest.mark.parametrize(
    ("gates", "words"),
    [
        ([PASSED] * 27, "all 27 gates passed"),
        ([PASSED], "all 1 gate passed"),
        ([PASSED, PASSED, EMPTY], "2 of 3 gates passed, 1 had no rows"),
        ([PASSED, FAILED, EMPTY], "1 of 3 gates failed, 1 had no rows"),
        ([PASSED, FAILED], "1 of 2 gates failed"),
    ],
)
def test_gates_without_rows_are_counted_by_themselves(gates: list[dict[str, Any]], words: str) -> None:
    assert count_outcomes(gates, "gate") == words


def test_a_gate_without_rows_is_shown_as_that_everywhere(tmp_path: Path) -> None:
    run = run_with_gates(tmp_path, EMPTY, PASSED)
    mine = [line for line in shown(run).splitlines() if line.startswith("judge ") and "(c0)" in line]
    assert [line.split()[-2:] for line in mine] == [["no", "rows"]]
    assert "had no rows" in shown(run)
    assert 'class="faint">no rows</td>' in report(run)
    with reading(run) as connection:
        [row] = [line for line in gates_table(connection).splitlines() if "(c0)" in line]
        release(PublishConfig(path=str(tmp_path / "out")), run, connection)
    assert row.count("no rows") == 2
    [row] = [line for line in (tmp_path / "out" / "README.md").read_text("utf-8").splitlines() if "(c0)" in line]
    assert row.count("no rows") == 2


@pytest.mark.parametrize("status", ["stopped", "failed", "killed", "done", "running"])
def test_a_run_that_ended_early_names_the_stages_that_no_gate_judged_as_a_whole(status: str) -> None:
    stages = [{"stage": name, "rows_in": 40} for name in ("load", "filter", "respond", "judge")]
    gates = [
        {**PASSED, "stage": stage, "scope": scope, "expectation": "ExpectColumnToExist(c)", "severity": "critical"}
        | {"detail": "", "reason": "", "see": ""}
        for stage, scope in (("filter", "whole"), ("respond", "scout"))
    ]
    file = io.StringIO()
    shown = {"state": {"status": status}, "gates": gates, "stages": [*stages, {"stage": "format_dpo", "rows_in": 0}]}
    draw_gates(shown, Console(file=file, width=160))
    text = "The run ended early, so no gate judged all rows of: load, respond, judge\n"
    assert (text in file.getvalue()) == (status not in {"done", "running"})


def test_the_total_of_the_funnel_has_no_time_since_tasks_run_side_by_side(tmp_path: Path) -> None:
    run = build_example_run(tmp_path)
    [judge] = [line for line in shown(run).splitlines() if line.startswith("judge ") and "━" in line]
    [total] = [line for line in shown(run).splitlines() if line.startswith("all ")]
    assert judge.rstrip().endswith(" s")
    assert not total.rstrip().endswith(" s")
    assert "$0.0" in total


def test_every_place_of_publication_is_named(tmp_path: Path) -> None:
    run = build_example_run(tmp_path / "workspace")
    with reading(run) as connection:
        for name in ("one", "two", "one", "three"):
            release(PublishConfig(path=str(tmp_path / name)), run, connection)
    places = [str(tmp_path / name) for name in ("two", "one", "three")]
    lines = shown(run).splitlines()
    assert [line.split()[1] for line in lines if line.startswith("dataset ")] == places
    assert " and in ".join(places) in shown(run, width=900)
    assert Workspace(tmp_path / "workspace").run(run.id).state().published == places[-1]
    assert summary(run)["state"]["places"] == tuple(places)


def test_a_run_of_an_earlier_version_names_the_places_that_it_knows(tmp_path: Path) -> None:
    run = build_example_run(tmp_path)
    page = "https://huggingface.co/datasets/me/two"
    run.save(run.state().model_copy(update={"published": "/data/out", "hub": page}))
    lines = shown(run).splitlines()
    assert "dataset  /data/out" in [" ".join(line.split(maxsplit=1)).replace(" ", "  ", 1) for line in lines]
    assert any(line.startswith("hub ") and line.endswith(page) for line in lines)
