"""Commands in messages can be pasted: with the program as it was called, the workspace, and quoted arguments."""

import os
import shlex
import sys
from pathlib import Path

import pytest

from kasasagi.blocks import hints

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to call from, with an environment in .venv whose programs are not on PATH."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KASASAGI_WORKSPACE", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    environment(tmp_path / ".venv" / "bin", monkeypatch)
    return tmp_path


def environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("kasasagi", "pip", "python"):
        (folder / name).touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.setattr(sys, "argv", [str(folder / "kasasagi"), "show"])


def test_a_program_in_a_venv_is_named_by_its_shorter_path(folder: Path) -> None:
    assert hints.printed_command("runs") == ".venv/bin/kasasagi runs"
    (folder / "a" / "b" / "c").mkdir(parents=True)
    os.chdir(folder / "a" / "b" / "c")
    assert hints.printed_command("runs") == "../../../.venv/bin/kasasagi runs"


def test_a_program_on_path_is_named_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(folder / ".venv" / "bin"))
    assert hints.printed_command("runs") == "kasasagi runs"


def test_another_installation_on_path_is_not_taken_for_this_one(folder: Path) -> None:
    (folder / "bin").mkdir()
    (folder / "bin" / "kasasagi").touch(mode=0o755)
    assert hints.printed_command("runs") == ".venv/bin/kasasagi runs"


def test_a_link_on_path_to_this_installation_is_named_alone(folder: Path) -> None:
    (folder / "bin").mkdir()
    (folder / "bin" / "kasasagi").symlink_to(folder / ".venv" / "bin" / "kasasagi")
    assert hints.printed_command("runs") == "kasasagi runs"


def test_a_program_in_the_current_folder_is_named_with_a_dot(folder: Path) -> None:
    os.chdir(folder / ".venv" / "bin")
    assert hints.printed_command("runs") == "./kasasagi runs"


def test_a_path_with_a_space_is_quoted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment(folder / "my env" / "bin", monkeypatch)
    assert hints.printed_command("runs") == "'my env/bin/kasasagi' runs"


def test_python_that_runs_the_module_is_named_with_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [str(ROOT / "flows" / "cli" / "__main__.py"), "show"])
    assert hints.printed_command("runs") == ".venv/bin/python -m kasasagi.flows.cli runs"


def test_a_library_or_a_worker_names_the_program_of_its_environment(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["-c"])
    assert hints.printed_command("runs") == ".venv/bin/kasasagi runs"
    (folder / ".venv" / "bin" / "kasasagi").unlink()
    assert hints.printed_command("runs") == ".venv/bin/python -m kasasagi.flows.cli runs"


def test_a_workspace_is_named_unless_commands_find_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert hints.command("runs", workspace=folder / "workspace") == "kasasagi runs"
    assert hints.command("runs", workspace=folder / "my ws") == f"kasasagi runs -w '{folder}/my ws'"
    monkeypatch.setenv("KASASAGI_WORKSPACE", "my ws")
    assert hints.command("runs", workspace=folder / "my ws") == "kasasagi runs"
    assert hints.command("runs", workspace=folder / "workspace") == f"kasasagi runs -w {folder}/workspace"


def test_arguments_are_quoted(folder: Path) -> None:
    text = hints.command("sql", "latest", "select * from pairs")
    assert text == "kasasagi sql latest 'select * from pairs'"
    assert shlex.split(text)[-1] == "select * from pairs"


@pytest.mark.parametrize(
    "text",
    ["made by kasasagi in the run r", "another version of kasasagi made it", "/opt/kasasagi runs", "my-kasasagi runs"],
)
def test_only_commands_are_rewritten(folder: Path, text: str) -> None:
    assert hints.with_program_name(text) == text


def test_a_rewritten_text_stays_as_it_is(folder: Path) -> None:
    text = hints.with_program_name("stopped; see kasasagi quarantine r --stage judge, or kasasagi people approve r")
    assert text == "stopped; see .venv/bin/kasasagi quarantine r --stage judge, or .venv/bin/kasasagi people approve r"
    assert hints.with_program_name(text) == text


def test_every_command_of_the_command_line_is_known() -> None:
    from kasasagi.flows.cli.app import app

    names = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    assert names | {group.name for group in app.registered_groups} == set(hints.VERBS)


def test_an_extra_is_installed_from_the_checkout(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert hints.install("litellm") == f".venv/bin/pip install '{ROOT}[litellm]'"
    monkeypatch.chdir(ROOT)
    assert hints.install("litellm").endswith("/pip install '.[litellm]'")
    assert hints.pip_install("gcsfs").endswith("/pip install gcsfs")
