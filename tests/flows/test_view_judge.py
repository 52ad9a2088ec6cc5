"""`kasasagi judge` as it is typed: the ratings and the figures, drawn or as JSON."""

import io
import json
import re
from pathlib import Path

import pytest
from click.testing import Result
from rich.console import Console
from typer.testing import CliRunner

from kasasagi.blocks.workspace.runs import Workspace
from kasasagi.blocks.workspace.shards import Account, Handle
from kasasagi.flows.cli.app import app
from kasasagi.flows.labels.labelling import label
from kasasagi.flows.views.judge import TITLES, draw_report, judge_report, percent_or_decimal, subject_of
from kasasagi.tasks.tables import table
from tests.run_example import build_example_run


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("workspace")
    build_example_run(folder, run_id="20260101-ended", prompts=12)
    build_example_run(folder, run_id="20260102-live", ended=False, prompts=12)
    return folder


def typed(workspace: Path, *arguments: str) -> Result:
    result = CliRunner(env={"COLUMNS": "80"}).invoke(app, ["judge", *arguments, "-w", str(workspace)])
    assert result.exit_code == 0, result.exception
    return result


@pytest.mark.parametrize("run", ["20260101-ended", "20260102-live"])
def test_a_report_shows_ratings_and_figures_within_the_width(workspace: Path, run: str) -> None:
    file = io.StringIO()
    draw_report(judge_report(Workspace(workspace).run(run)), Console(file=file, width=80))
    out = file.getvalue()
    assert max(map(len, out.splitlines())) <= 80
    assert re.search(r"critic +overall-rating +large +21 +- +100%", out)
    assert re.search(r"wins, ties as halves +large +\d\d\.\d% +\d\d\.\d% +\d\d", out)
    assert re.search(r"same verdict in both orders +critic, overall-ra\S+ +100\.0%", out)


def test_json_holds_the_same(workspace: Path) -> None:
    report = json.loads(typed(workspace, "20260101-ended", "--json").stdout)
    assert {row["figure"] for row in report["judge_figures"]} <= TITLES.keys()
    assert {row["model"] for row in report["rating_histogram"]} == {"small", "large"}


def test_a_persons_verdicts_stand_beside_the_judges(tmp_path: Path) -> None:
    run = build_example_run(tmp_path, prompts=9)
    assert "your own" not in typed(tmp_path).stdout
    answers = iter(["a", "b", "tie"])
    label(run, 3, Console(quiet=True), lambda question: next(answers))
    assert "Beside your own verdicts" in typed(tmp_path).stdout
    person = json.loads(typed(tmp_path, "--json").stdout)["person"]
    assert (person["decided"], person["ties"]) == (2, 1)


def test_the_audit_of_the_datasets_labels_stands_beside_them(tmp_path: Path) -> None:
    run = build_example_run(tmp_path, ended=False, prompts=9)
    assert "dataset's labels" not in typed(tmp_path).stdout
    verdicts = ["agrees", "agrees", "disagrees", "tie"]
    names = ("prompt_id", "chosen_id", "rejected_id")
    rows = [{**dict.fromkeys(names, f"{number}"), "verdict": verdict} for number, verdict in enumerate(verdicts)]
    shard = run.workspace.shards.write(table("audit", rows))
    run.add(Handle(stage="audit", run=run.id, shards={"audit": shard}, account=Account()), reused=False)
    out = typed(tmp_path).stdout
    assert "Beside the dataset's labels" in out
    assert "4 labels: 2 agree, 1 disagree, 1 ties, 0 unrated." in out


def test_a_run_that_nobody_judged_says_so(tmp_path: Path) -> None:
    from kasasagi.blocks.workspace.runs import Run, Workspace

    workspace = Workspace(tmp_path)
    workspace.prepare()
    Run.begin(workspace, "20260101-new", "job", {})
    assert "nothing has been judged yet" in typed(tmp_path).stdout


def test_shares_are_percents_and_agreement_is_not() -> None:
    assert percent_or_decimal("win_rate", 0.5) == "50.0%"
    assert percent_or_decimal("krippendorffs_alpha", 0.849) == "0.85"
    assert percent_or_decimal("cohens_kappa", None) == ""
    assert subject_of({"judge": "one", "subject": None, "aspect": "honesty"}) == "one, honesty"
