"""The documents: every command in them is one that the command line takes, every recipe is sound, every link leads."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import typer
import yaml

from kasasagi.flows.cli.app import app
from kasasagi.flows.recipe.documents.reference import reference
from kasasagi.flows.recipe.loading import check_recipe, shipped_recipes

ROOT = Path(__file__).parents[1]
DOCS = sorted([*(ROOT / "docs").glob("*.md"), *ROOT.glob("README*.md")])
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LARGEST_PICTURE = 150_000
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+\.md)(?:#[^)]*)?\)")


def blocks(file: Path, *languages: str) -> list[str]:
    """The fenced blocks of a document in some languages."""
    return [text for language, text in BLOCK.findall(file.read_text(encoding="utf-8")) if language in languages]


def commands() -> list[str]:
    """Every line of a document that calls us, each once."""
    texts = [text for file in DOCS for text in blocks(file, "", "sh", "bash", "console")]
    joined = "\n".join(texts).replace("\\\n", " ")
    lines = re.findall(r"^(?:\$ )?(?:[A-Z_]+=\S+ )*(kasasagi .*)$", joined, re.MULTILINE)
    spoken = [one.strip("`") for file in DOCS for one in re.findall(r"`kasasagi [a-z][^`]*`", _prose(file))]
    return sorted({*lines, *spoken})


def _prose(file: Path) -> str:
    return BLOCK.sub("", file.read_text(encoding="utf-8"))


@pytest.mark.parametrize("line", commands())
def test_every_command_is_one_that_the_command_line_takes(line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    group = typer.main.get_command(app)
    assert isinstance(group, click.Group) or hasattr(group, "commands")
    context: Any = group.make_context("kasasagi", list(words[:1]), resilient_parsing=True)
    while (subcommands := getattr(group, "commands", None)) and words and not words[0].startswith("-"):
        assert words[0] in subcommands, f"{words[0]} is no command: {line}"
        group = subcommands[words[0]]
        words = words[1:]
    known = {option for parameter in group.params for option in (*parameter.opts, *parameter.secondary_opts)}
    for word in words:
        option = word.partition("=")[0]
        if option.startswith("-") and option != "--help":
            assert option in known, f"{option} is no option: {line}"
    context.close()


@pytest.mark.parametrize("file", DOCS, ids=lambda file: file.name)
def test_every_whole_recipe_in_a_document_is_sound(file: Path, tmp_path: Path) -> None:
    for text in blocks(file, "yaml"):
        data = yaml.safe_load(text)
        if isinstance(data, dict) and {"name", "source", "models"} <= data.keys() and "my_rules" not in text:
            assert check_recipe(data, tmp_path).name == data["name"]


def test_both_readmes_have_the_same_commands_recipes_and_programs() -> None:
    def uncommented(name: str) -> list[str]:
        return [re.sub(r" +# .*", "", text) for text in blocks(ROOT / name, "", "yaml", "python")]

    assert uncommented("README.ja.md") == uncommented("README.md")


@pytest.mark.parametrize("file", DOCS, ids=lambda file: file.name)
def test_every_link_leads_somewhere(file: Path) -> None:
    for target in LINK.findall(_prose(file)):
        if "://" not in target:
            assert (file.parent / target).exists(), f"{target} in {file.name}"


def test_every_picture_is_there_and_small_and_none_is_left_over() -> None:
    shown = {
        (file.parent / target).resolve()
        for file in DOCS
        for target in re.findall(r"!\[[^\]]+\]\(([^)\s]+)\)", _prose(file))
    }
    assert shown == set((ROOT / "docs" / "images").iterdir())
    assert all(picture.stat().st_size < LARGEST_PICTURE for picture in shown)


DIALECT = re.compile(
    r"\b(heeds?|heeded|amid|anew|travels? with|goes on|go on|sets? aside|lies? in|told|as far as|stand several times"
    r"|is known by|comes? to its end|some hundred|mend(?:s|ed)?|shall|for now|in vain|afresh|by turns"
    r"|of one's own|handed over|put back|the same holds|what becomes of|nobody judges|told apart)\b"
)
"""Words of a private dialect; plain ones stand in their place: apply, again, ship, continue, quarantine, …"""


@pytest.mark.parametrize("file", DOCS, ids=lambda file: file.name)
def test_documents_speak_plainly(file: Path) -> None:
    assert DIALECT.findall(file.read_text(encoding="utf-8")) == []


def test_helps_speak_plainly() -> None:
    group = typer.main.get_command(app)
    commands = [command for one in group.commands.values() for command in (one, *getattr(one, "commands", {}).values())]  # type: ignore[attr-defined]
    helps = [command.help or "" for command in commands]
    helps += [getattr(option, "help", None) or "" for command in commands for option in command.params]
    assert [text for text in helps if DIALECT.search(text)] == []


def test_the_recipe_reference_is_that_of_the_model() -> None:
    assert (ROOT / "docs" / "recipe.md").read_text(encoding="utf-8") == reference(), (
        "the recipe has changed: kasasagi schema --markdown > docs/recipe.md"
    )


def test_every_page_stands_in_the_navigation_and_the_other_way_round() -> None:
    listed = set(re.findall(r": ([\w.-]+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE))
    assert listed == {file.name for file in (ROOT / "docs").glob("*.md")}


def test_recipes_that_travel_are_named_in_the_documents() -> None:
    written = "\n".join(file.read_text(encoding="utf-8") for file in DOCS)
    assert not [name for name in shipped_recipes() if name not in written]


def test_the_documents_build_and_the_api_page_says_what_functions_take_and_raise(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    page = (tmp_path / "api.html").read_text(encoding="utf-8")
    for name in ("run_recipe", "open_run", "try_stage", "Ask", "Registry", "ModelEndpoint"):
        assert re.search(rf'id="kasasagi\.[\w.]+\.{name}"', page), name
    assert page.count("Raises:") >= 3
