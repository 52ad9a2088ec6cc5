"""What a view leaves out: nothing in a pipe; in a terminal long texts are cut, and the view says how to see them."""

import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kasasagi.blocks.workspace.runs import Run
from kasasagi.flows.cli.app import app
from kasasagi.flows.views import drawing
from kasasagi.flows.views.drawing import Screen, draw_rows, note_shortened
from kasasagi.flows.views.safe_text import ELLIPSIS
from tests.run_example import RECIPE, build_example_run

ROOT = Path(__file__).parents[2]
LONG_TEXT = "seventy-seven words " * 60


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with long texts: its system prompt, and so what it quarantined."""
    respond = {**RECIPE["respond"], "system_prompt": LONG_TEXT}
    folder = tmp_path_factory.mktemp("workspace")
    build_example_run(folder, run_id="20250101-another-name-of-a-run-that-is-long", prompts=7)
    return build_example_run(folder, prompts=12, recipe={**RECIPE, "respond": respond})


def in_a_pipe(run: Run, *words: str) -> str:
    result = CliRunner().invoke(app, [*words, "-w", str(run.workspace.folder)], env={"COLUMNS": "50"})
    assert result.exception is None, result.exception
    return result.output


@pytest.mark.parametrize(
    "words",
    [
        ("runs",),
        ("show",),
        ("quarantine",),
        ("diff", "20260101", "20250101"),
        ("sql", "select repeat('long text ', 90) as n from pairs"),
    ],
)
def test_a_pipe_leaves_nothing_out_at_any_width(run: Run, words: tuple[str, ...]) -> None:
    assert ELLIPSIS not in in_a_pipe(run, *words)


def test_a_pipe_has_the_columns_of_a_wide_terminal(run: Run) -> None:
    runs, shown = in_a_pipe(run, "runs").splitlines(), in_a_pipe(run, "show", run.id)
    assert runs[0].split() == ["run", "status", "recipe", "started", "took", "pairs", "calls", "sent", "cost"]
    assert {len(line.rstrip()) > 50 for line in runs} == {True}
    assert next(line for line in shown.splitlines() if "expectation" in line).split()[-2:] == ["severity", "outcome"]
    assert LONG_TEXT.split() == in_a_pipe(run, "sql", f"select '{LONG_TEXT}' as t, 1 as n").split()[1:-2]


def screen(width: int, piped: bool = False) -> tuple[Screen, io.StringIO]:
    file = io.StringIO()
    made = Screen(file=file, width=width)
    made.piped = piped
    return made, file


@pytest.mark.parametrize("rows", [[[LONG_TEXT]], [[LONG_TEXT], ["short"]]], ids=["record", "table"])
def test_a_terminal_says_how_to_see_a_cut_text_whole(rows: list[list[str]]) -> None:
    cut, written = screen(60)
    draw_rows(cut, ["text"], rows)
    note_shortened(cut, "--full")
    assert ELLIPSIS in written.getvalue()
    assert written.getvalue().endswith("\nLong texts are cut; --full shows them whole.\n")
    whole, written = screen(60, piped=True)
    draw_rows(whole, ["text"], rows)
    note_shortened(whole, "--full")
    assert "Long texts" not in written.getvalue()


def test_a_setting_that_is_cut_in_a_terminal_is_noted() -> None:
    cut, _ = screen(60)
    assert len(drawing.shorten(cut, LONG_TEXT)) == drawing.CELL_CHARS
    assert cut.shortened
    assert drawing.shorten(screen(60, piped=True)[0], LONG_TEXT) == LONG_TEXT


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal")
def test_quarantine_on_a_terminal_names_the_option_that_shows_payloads_whole(run: Run) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "kasasagi.flows.cli", "quarantine", run.id, "-w", str(run.workspace.folder)]
    environment = {**os.environ, "COLUMNS": "40", "TERM": "dumb"}
    with subprocess.Popen(command, stdout=theirs, env=environment) as process:
        os.close(theirs)
        written = b""
        try:
            while piece := os.read(ours, 65536):
                written += piece
        except OSError:  # the other end was closed
            pass
    assert process.returncode == 0
    assert "Long texts are cut; --full shows them whole." in written.decode()
