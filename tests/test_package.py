"""One package is installed: its name alone is taken, and modules of the user's with our folders' names stay theirs."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import kasasagi
from kasasagi.blocks.own.python import own_object
from kasasagi.flows.runner import run_recipe

ROOT = Path(__file__).parents[1]
COMMAND = (sys.executable, "-m", "kasasagi.flows.cli")
SCRIPT = """
import blocks, hina, kasasagi, tasks
from flows.etl import NAME
print(NAME, blocks.NAME, hina.NAME, tasks.NAME, kasasagi.run_recipe.__module__)
"""
SERVER = """
import sys
from pathlib import Path
from kasasagi.flows.server.private_server import prefect_server
with prefect_server(Path("prefect")) as server:
    server.wait_until_ready()
    print("the server answers")
"""
LIGHT = "import sys, kasasagi; print(*sorted({name.split('.')[0] for name in sys.modules} & {'prefect', 'pydantic'}))"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder of a user's with modules of the same names as our folders."""
    for name in ("flows/__init__", "flows/etl", "tasks", "blocks/__init__", "hina"):
        file = tmp_path / f"{name}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"NAME = 'own {name}'\n")
    return tmp_path


def done(folder: Path, *command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a command in a folder, with a Prefect home and a workspace of its own; it can reach the package index."""
    others = ("PREFECT_API_URL", "SSL_CERT_FILE")
    surroundings = {name: value for name, value in os.environ.items() if name not in others}
    if trusted := os.environ["TRUSTED_BEFORE_TESTS"]:
        surroundings["SSL_CERT_FILE"] = trusted
    surroundings |= {"PREFECT_HOME": str(folder / "home"), "KASASAGI_WORKSPACE": str(folder / "ws"), **environment}
    return subprocess.run(
        command, cwd=folder, env=surroundings, capture_output=True, text=True, timeout=240, check=False
    )


def test_commands_run_beside_modules_of_the_user_with_the_same_names(project: Path) -> None:
    planned = done(project, *COMMAND, "plan", "quickstart", "-n", "12")
    assert planned.returncode == 0, planned.stderr
    assert "respond" in planned.stdout


def test_prefects_server_starts_beside_modules_of_the_user_with_the_same_names(project: Path, used_home: Path) -> None:
    shutil.copytree(used_home, project / "home")
    (project / "server.py").write_text(SERVER)
    started = done(project, sys.executable, "server.py")
    assert started.stdout == "the server answers\n", started.stderr


def test_a_script_imports_its_own_modules_and_ours(project: Path) -> None:
    (project / "script.py").write_text(SCRIPT)
    ran = done(project, sys.executable, "script.py")
    assert ran.stdout == "own flows/etl own blocks/__init__ own hina own tasks kasasagi.flows.runner\n", ran.stderr


def test_the_package_offers_its_names_and_loads_nothing_heavy_before_they_are_used(tmp_path: Path) -> None:
    assert done(tmp_path, sys.executable, "-c", LIGHT).stdout == "\n"
    assert all(getattr(kasasagi, name) for name in kasasagi.__all__)
    assert kasasagi.run_recipe is run_recipe
    with pytest.raises(AttributeError, match="no attribute 'run_recipes'"):
        _ = kasasagi.run_recipes  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["flows", "tasks", "blocks"])
def test_a_former_name_says_the_present_one(name: str) -> None:
    imported = done(ROOT, sys.executable, "-c", f"import {name}")
    [*_, last] = imported.stderr.splitlines()
    assert last.startswith(f"ImportError: '{name}' is now 'kasasagi.{name}': import it by that name, e.g. `from ")


def test_copies_of_the_quickstarts_rule_from_version_0_1_0_still_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = (ROOT / "recipes" / "quickstart_rules.py").read_text(encoding="utf-8")
    (tmp_path / "quickstart_rules.py").write_text(shipped.replace("kasasagi.hina.", "hina."), encoding="utf-8")
    monkeypatch.setitem(sys.modules, "hina", None)  # the folder of this repository would be found
    rule = own_object("quickstart_rules.has_an_answer", tmp_path)
    assert rule({"instruction": "Is it?"}) == "a question without an answer in hina's world"
    assert not {"hina", "hina.world", "hina.world.oracle"} & set(sys.modules)


def test_a_users_own_hina_is_not_ours(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "hina", raising=False)
    monkeypatch.syspath_prepend(project)
    (project / "rules.py").write_text("from hina import NAME\n\n\ndef name(row):\n    return NAME\n")
    assert own_object("rules.name", project)({}) == "own hina"
    monkeypatch.delitem(sys.modules, "hina")


@pytest.mark.slow
def test_a_wheel_has_one_package_and_runs(project: Path) -> None:
    folder = project / "wheel"
    pip = (sys.executable, "-m", "pip", "--quiet")
    built = done(project, *pip, "wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT))
    assert built.returncode == 0, built.stderr
    [wheel] = folder.iterdir()
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0] for name in names} == {"kasasagi", f"{wheel.name.rsplit('-', 3)[0]}.dist-info"}
    assert not [name for name in names if name.startswith("kasasagi/hina/") and name.count("/") == 2][1:]
    installed = done(project, *pip, "install", "--no-deps", "--target", str(folder / "installed"), str(wheel))
    assert installed.returncode == 0, installed.stderr
    planned = done(project, *COMMAND, "plan", "quickstart", "-n", "12", PYTHONPATH=str(folder / "installed"))
    assert planned.returncode == 0, planned.stderr
    assert "respond" in planned.stdout
