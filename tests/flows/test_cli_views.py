"""The commands that look at runs, as they are typed."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from kasasagi.blocks.version import installed_version
from kasasagi.blocks.workspace.runs import WorkspaceError
from kasasagi.flows.cli.app import app
from kasasagi.flows.errors import UsageError, user_message
from tests.run_example import build_example_run

HEAVY = ("duckdb", "pyarrow", "pandas", "prefect", "great_expectations", "datasets", "openai")
Typed = Callable[..., Result]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a run that has ended and, later, an active one; no test may change it."""
    folder = tmp_path_factory.mktemp("workspace")
    build_example_run(folder, run_id="20260101-ended", prompts=12)
    build_example_run(folder, run_id="20260102-live", ended=False)
    return folder


@pytest.fixture
def typed(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Typed:
    """Type a command in that workspace."""
    monkeypatch.setenv("KASASAGI_WORKSPACE", str(workspace))
    monkeypatch.setenv("COLUMNS", "100")
    return lambda *arguments: CliRunner().invoke(app, list(arguments))


def out(result: Result) -> str:
    assert result.exception is None, result.exception
    assert result.exit_code == 0
    return result.stdout


def test_runs_lists_them_newest_first(typed: Typed) -> None:
    lines = out(typed("runs")).splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["20260102-live", "20260101-ended"]
    assert "1 more run" in out(typed("runs", "-n", "1"))
    assert [row["pairs"] for row in json.loads(out(typed("runs", "--json")))] == [3, 9]


def test_runs_of_an_empty_workspace_say_so_and_make_nothing(typed: Typed, tmp_path: Path) -> None:
    assert "No runs yet" in out(typed("runs", "-w", str(tmp_path / "none")))
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("name", [(), ("latest",), ("20260102",), ("20260102-live",)])
def test_show_finds_a_run_by_its_beginning_or_takes_the_latest(typed: Typed, name: tuple[str, ...]) -> None:
    assert "20260102-live" in out(typed("show", *name)).splitlines()[0]


@pytest.mark.parametrize(
    ("change", "note"),
    [
        ({"status": "failed"}, "has failed"),
        ({"status": "stopped"}, "was stopped"),
        ({"status": "done", "preview": True}, "is a preview"),
    ],
)
def test_a_later_run_without_a_dataset_is_passed_over_and_named(
    tmp_path: Path, change: dict[str, Any], note: str
) -> None:
    good = build_example_run(tmp_path, run_id="20260101-good")
    later = build_example_run(tmp_path, run_id="20260102-later")
    later.save(later.state().model_copy(update=change))
    for command in ("show", "judge", "runs"):
        result = CliRunner().invoke(app, [command, "-w", str(tmp_path)])
        assert f"latest is {good.id}: {later.id} started later and {note}; " in result.stderr
        assert f"show {later.id}" in result.stderr
    assert good.id in out(CliRunner().invoke(app, ["show", "-w", str(tmp_path)])).splitlines()[0]
    assert later.id in out(CliRunner().invoke(app, ["show", later.id, "-w", str(tmp_path)])).splitlines()[0]
    assert later.workspace.run(newest=True).id == later.id


def test_quarantine_shows_the_newest_run_of_any_kind_and_names_the_latest_with_a_dataset(tmp_path: Path) -> None:
    """After a run that failed its quarantined rows are what one looks for."""
    build_example_run(tmp_path, run_id="20260101-good")
    later = build_example_run(tmp_path, run_id="20260102-later", prompts=30)
    later.save(later.state().model_copy(update={"status": "failed"}))

    def asked(*words: str) -> Result:
        return CliRunner().invoke(app, ["quarantine", *words, "--format", "jsonl", "-w", str(tmp_path)])

    found = asked()
    assert f"{later.id}, the newest run, has failed; " in found.stderr
    assert "quarantine latest" in found.stderr
    assert found.stdout == out(asked(later.id))
    assert found.stdout != out(asked("latest")) == out(asked("20260101"))
    later.save(later.state().model_copy(update={"status": "done"}))
    assert not asked().stderr


def test_a_run_that_failed_is_the_latest_where_none_has_a_dataset(tmp_path: Path) -> None:
    only = build_example_run(tmp_path)
    only.save(only.state().model_copy(update={"status": "failed"}))
    result = CliRunner().invoke(app, ["show", "-w", str(tmp_path)])
    assert result.stdout.startswith("failed")
    assert not result.stderr


def test_show_takes_the_number_of_pairs_and_gives_json(typed: Typed) -> None:
    assert out(typed("show", "20260101", "-n", "5")).count("\nprompt ") == 5
    shown = json.loads(out(typed("show", "20260101", "--json", "-n", "2")))
    assert shown["state"]["status"] == "done"
    assert len(shown["pairs"]) == 2
    assert shown["stages"][0]["reasons"] == {"broken_json": 1, "empty": 1}


def test_an_unknown_or_ambiguous_run_is_said_so(typed: Typed) -> None:
    for name in ("nothing", "2026"):
        failure = typed("show", name).exception
        assert isinstance(failure, WorkspaceError)
        assert "20260102-live" in str(failure)
        assert user_message(failure)[1] == 2


def test_sql_takes_the_latest_run_or_the_one_that_is_named(typed: Typed) -> None:
    query = "select count(*) as pairs from pairs"
    assert out(typed("sql", query)).split()[-1] == "3"
    assert out(typed("sql", "20260101", query)).split()[-1] == "9"


def test_sql_shows_fifty_rows_and_counts_the_rest(typed: Typed) -> None:
    query = "select i as n from range(1234) as r(i)"
    lines = out(typed("sql", query)).splitlines()
    assert lines[-1] == "1,184 more rows; --all shows them"
    assert [line.strip() for line in lines if line.strip().isdigit()] == [str(number) for number in range(50)]
    assert out(typed("sql", query, "--all")).split()[-1] == "1233"
    assert "no rows" in out(typed("sql", "from pairs where false"))


def test_sql_writes_lines_to_the_standard_output(typed: Typed) -> None:
    query = "select instruction, position from prompts order by position"
    rows = [json.loads(line) for line in out(typed("sql", query, "--format", "jsonl")).splitlines()]
    assert [row["position"] for row in rows] == list(range(6))
    text = out(typed("sql", query, "--format", "csv"))
    assert text.splitlines()[0] == "instruction,position"
    assert "水は何度で沸騰しますか。(1番目の質問),1" in text


def test_sql_writes_a_file_when_it_is_told_which(typed: Typed, tmp_path: Path) -> None:
    target = tmp_path / "pairs.parquet"
    out(typed("sql", "from pairs", "--format", "parquet", "-o", str(target)))
    assert target.read_bytes()[:4] == b"PAR1"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("sql", "from pairs", "--format", "parquet"), "name it with -o FILE"),
        (("sql", "from pairs", "-o", "x.csv"), "add --format"),
        (("sql", "latest"), "is not a query"),
        (("sql", "from pear"), "did you mean 'pairs'"),
        (("sql", "selct * from pairs"), "syntax error"),
        (("trace", "123456789"), "has an id that begins with"),
        (("quarantine", "--stage", "jugde"), "did you mean 'judge'"),
        (("show", "--language", "jp"), "--language: 'jp' is none of en, ja; did you mean 'ja'?"),
        (("show", "--language", "japanese"), "did you mean 'ja'?"),
        (("sql", "from pairs", "--format", "cvs"), "--format: 'cvs' is none of table, jsonl, csv, parquet; did you"),
    ],
)
def test_wrong_usage_is_one_sentence_and_exit_code_2(typed: Typed, arguments: tuple[str, ...], message: str) -> None:
    failure = typed(*arguments).exception
    assert isinstance(failure, UsageError)
    assert message in str(failure)
    assert "\n" not in str(failure)
    assert failure.exit_code == 2


def test_a_language_of_the_environment_that_is_none_is_said_so(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KASASAGI_LANGUAGE", "jp")
    assert str(typed("runs").exception) == "KASASAGI_LANGUAGE: 'jp' is none of en, ja; did you mean 'ja'?"
    monkeypatch.setenv("KASASAGI_LANGUAGE", "ja_JP.UTF-8")
    assert typed("runs").exception is None


def test_trace_walks_from_a_beginning_of_an_id(typed: Typed) -> None:
    pair = json.loads(out(typed("sql", "20260101", "from pairs limit 1", "--format", "jsonl")))
    chain = json.loads(out(typed("trace", pair["chosen_id"][:8], "20260101", "--json")))
    assert chain["pairs"][0]["prompt_id"] == pair["prompt_id"]
    assert f"Pair {pair['prompt_id']}" in out(typed("trace", pair["prompt_id"], "20260101"))


def test_quarantine_filters_and_exports(typed: Typed) -> None:
    assert "unreadable" in out(typed("quarantine"))
    text = out(typed("quarantine", "latest", "--reason", "empty", "--format", "jsonl"))
    assert [json.loads(line)["stage"] for line in text.splitlines()] == ["load"]


def test_diff_tells_what_differs(typed: Typed) -> None:
    assert "Recipe: the same" in out(typed("diff", "20260101", "20260102"))
    assert json.loads(out(typed("diff", "20260101", "latest", "--json")))["pairs"]["only_left"] == 6


def test_the_commands_are_known_without_loading_anything_heavy() -> None:
    code = f"import sys, kasasagi.flows.cli.app; print([name for name in {HEAVY} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_show_and_sql_load_neither_prefect_nor_great_expectations(typed: Typed) -> None:
    code = (
        "import sys; from kasasagi.flows.cli.app import app\n"
        "for words in (['show'], ['sql', 'from pairs']):\n    app(words, standalone_mode=False)\n"
        "loaded = [m for m in ('prefect', 'great_expectations', 'datasets', 'openai') if m in sys.modules]\n"
        "print('loaded', loaded)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "loaded []"


def test_the_version_is_that_of_the_installation() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.output) == (0, f"kasasagi {installed_version()}\n")
    assert installed_version("pytest") == pytest.__version__
    assert installed_version("no-such-package") == "unknown"


def test_an_example_in_a_help_text_is_shown_as_it_is_typed(typed: Typed) -> None:
    assert "publish.formats=[kto]" in out(typed("dataset", "publish", "--help"))
