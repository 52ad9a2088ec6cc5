"""Commands that a person can paste: with the program as it was called, the workspace, and quoted arguments.

A text that is raised or stored holds `command(...)`, which starts with plain `kasasagi`, since its reader may call the
program by another path. Where a text is printed, `with_program_name` puts in the path that works there.
"""

import os
import re
import shlex
import shutil
import sys
from pathlib import Path

from kasasagi.blocks.workspace.runs import Workspace

PROGRAM = "kasasagi"
MODULE = "kasasagi.flows.cli"
VERBS = (
    *("run", "preview", "rejudge", "pair", "publish", "approve", "init", "schema", "check", "plan", "probe", "runs"),
    *("show", "judge", "sql", "trace", "quarantine", "diff", "label", "report", "argilla", "ledger", "batches"),
    *("serve", "ui", "dataset", "people"),
)
_COMMAND = re.compile(rf"(?<![\w./-]){PROGRAM} (?=(?:{'|'.join(VERBS)})\b)")


def command(*words: object, workspace: Path | None = None) -> str:
    """Return a kasasagi command, quoted for a shell, for a text that is raised or stored.

    Args:
        words: The verb and its arguments.
        workspace: The workspace's folder; the command names it unless it would find it without -w.
    """
    return shlex.join([PROGRAM, *map(str, words), *_naming(workspace)])


def printed_command(*words: object, workspace: Path | None = None) -> str:
    """Return a kasasagi command for a text that is printed at once."""
    return with_program_name(command(*words, workspace=workspace))


def with_program_name(text: str) -> str:
    """Return a text whose kasasagi commands start with the program as the user called it."""
    return _COMMAND.sub(lambda _: f"{program()} ", text)


def program() -> str:
    """Return how this program is called from here: `kasasagi`, its path, or `python -m kasasagi.flows.cli`."""
    called, script = Path(sys.argv[0]), Path(sys.executable).with_name(PROGRAM)
    if called.name == PROGRAM and called.is_file():
        return _shortest(called)
    by_module = called.parts[-3:-1] == ("flows", "cli")
    if script.is_file() and not by_module:
        return _shortest(script)
    return f"{_shortest(Path(sys.executable))} -m {MODULE}"


def install(extra: str) -> str:
    """Return the command that installs an extra of kasasagi into this environment."""
    root = Path(__file__).resolve().parents[1]
    project = PROGRAM  # installed from a wheel
    if (root / "pyproject.toml").is_file():
        project = "." if Path.cwd() == root else str(root)
    return f"{_pip()} install {shlex.quote(f'{project}[{extra}]')}"


def pip_install(package: str) -> str:
    """Return the command that installs another package into this environment."""
    return f"{_pip()} install {shlex.quote(package)}"


def _naming(workspace: Path | None) -> list[str]:
    if workspace is None or workspace.resolve() == Workspace.resolve().folder:
        return []
    return ["-w", str(workspace)]


def _pip() -> str:
    pip = Path(sys.executable).with_name("pip")
    return _shortest(pip) if pip.is_file() else f"{_shortest(Path(sys.executable))} -m pip"


def _shortest(file: Path) -> str:
    """Return what calls a file from the current folder: its name if PATH leads to it, else its shorter path."""
    absolute = os.path.abspath(file)
    if _on_path(file.name, absolute):
        return file.name
    relative = os.path.relpath(absolute)
    relative = relative if os.sep in relative else os.path.join(os.curdir, relative)
    return shlex.quote(min(relative, absolute, key=len))


def _on_path(name: str, absolute: str) -> bool:
    """Return whether a bare name calls that file; a venv's python is a link to one that has none of its packages."""
    found = shutil.which(name)
    if found is None:
        return False
    return os.path.abspath(found) == absolute or (name == PROGRAM and os.path.samefile(found, absolute))
