"""Exit codes: a place to write to that cannot be used is wrong usage, whatever is wrong with it."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from kasasagi.flows.cli.app import app
from kasasagi.flows.errors import user_message
from tests.run_example import build_example_run


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run, a file, a folder of somebody else and a loop of links."""
    folder = tmp_path_factory.mktemp("home")
    build_example_run(folder / "workspace", prompts=7)
    (folder / "file").touch()
    (folder / "full").mkdir()
    (folder / "full" / "notes.txt").touch()
    (folder / "loop").symlink_to(folder / "loop")
    return folder


def failed(home: Path, *words: str) -> tuple[int, str]:
    """Return the exit code and the message of a command that fails."""
    environment = {"KASASAGI_WORKSPACE": str(home / "workspace")}
    result = CliRunner().invoke(app, [word.replace("HOME", str(home)) for word in words], env=environment)
    assert result.exception is not None, result.output
    message, code = user_message(result.exception)
    return (result.exit_code, result.output) if isinstance(result.exception, SystemExit) else (code, message)


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("HOME/full", "contains files that kasasagi did not publish there"),
        ("HOME/file", "is a file, and a dataset is a folder"),
        ("HOME/file/out", "cannot be written"),
        ("HOME/loop/out", "cannot be a folder"),
        ("HOME/workspace/ledger/out", "is the workspace's own"),
        ("/proc/out", "cannot be written"),
        ("HOME/" + "o" * 250, "cannot be written"),
        (".", "names no folder of its own"),
        ("out/{week}", "stands for nothing here"),
    ],
)
def test_a_folder_that_cannot_be_published_to_is_wrong_usage(home: Path, path: str, why: str) -> None:
    code, message = failed(home, "publish", "--path", path)
    assert (code, why in message) == (2, True), message
    assert message.startswith("publish.path: ")
    assert not list(home.glob("out*"))


@pytest.mark.parametrize(
    "words",
    [
        ("report", "-o", "HOME/file/page.html"),
        ("report", "-o", "HOME/none/page.html"),
        ("report", "-o", "HOME/full"),
        ("sql", "from pairs", "--format", "csv", "-o", "HOME/file/rows.csv"),
        ("sql", "from pairs", "--format", "csv", "-o", "HOME/none/rows.csv"),
        ("init", "HOME/file/recipe.yaml"),
        ("init", "HOME/file"),
    ],
)
def test_a_file_that_cannot_be_written_is_wrong_usage(home: Path, words: tuple[str, ...]) -> None:
    code, message = failed(home, *words)
    assert code == 2
    assert "Errno" not in message
    assert str(home)[-8:] in message.replace("\n", "")
