"""What commands say of a wrong word: the place, the value and the remedy; and an example in every help."""

from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer

from kasasagi.blocks.canonical import digest
from kasasagi.blocks.ledger.store import Ledger, LedgerEntry
from kasasagi.blocks.models.llm import Completion
from kasasagi.blocks.workspace.runs import NoSuchRunError, Run, Workspace
from kasasagi.flows.cli.app import app
from kasasagi.flows.errors import UsageError
from kasasagi.flows.rebuild.rebuild import recipe_of
from kasasagi.flows.recipe.yaml import read_yaml
from kasasagi.flows.upkeep.ledger_care import age_seconds, reasons_to_retry
from kasasagi.tasks.load import DatasetSource, SourceError, check_source
from kasasagi.tasks.token_counts import TokenizerError, TokenLimits, token_counter


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        yield " ".join([*path, name]), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


def test_every_help_has_an_example_that_names_its_command() -> None:
    for name, command in commands(typer.main.get_command(app)):
        assert command.epilog, f"{name} has no example"
        assert command.epilog.startswith("Example: kasasagi ")
        assert f" {name.split()[-1]}" in command.epilog or isinstance(command, click.Group), name


def test_a_reason_that_no_failure_has_is_refused_with_the_nearest(tmp_path: Path) -> None:
    place = Workspace(tmp_path)
    place.prepare()
    ledger = Ledger(place.ledger_folder)
    ledger.append([LedgerEntry(digest(1), "small", Completion(error="engine_failed"))])
    ledger.close()
    assert reasons_to_retry(["context_too_long", "engine_failed"], place) == {"context_too_long", "engine_failed"}
    with pytest.raises(
        UsageError, match=r"--ask-again: 'contex_too_long' is not .*; did you mean 'context_too_long'\?"
    ):
        reasons_to_retry(["contex_too_long"], place)
    with pytest.raises(UsageError, match="'zzz' is not a reason of a stored failure; use one of context_too_long, "):
        reasons_to_retry(["context_too_long", "zzz"], place)


def test_a_run_that_is_not_there_differs_from_several(tmp_path: Path) -> None:
    place = Workspace(tmp_path)
    place.prepare()
    with pytest.raises(NoSuchRunError, match=r"^there is no run in the workspace"):
        place.run()
    for name in ("ab", "ac"):
        Run.begin(place, name, name, {"name": name})
    with pytest.raises(NoSuchRunError, match=r"^no run matches 'nope' in the workspace .*; the latest runs are: a"):
        place.run("nope")
    with pytest.raises(
        NoSuchRunError, match=r"^'a' matches several runs in the workspace .*; write more of one: a., a.$"
    ):
        place.run("a")


@pytest.mark.parametrize(("name", "text"), [("a.jsonl", ""), ("b.csv", "instruction\n"), ("c.json", "[]")])
def test_a_source_without_rows_is_named_with_the_remedy(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(SourceError, match=f"source.path: '{name}' contains no rows; add some, or name another file"):
        check_source(DatasetSource(path=name), tmp_path)


def test_an_age_names_an_example() -> None:
    with pytest.raises(UsageError, match=r"such as 90d \(90 days\)$"):
        age_seconds("long")


def test_the_end_of_a_yaml_text_is_named_in_plain_words() -> None:
    with pytest.raises(ValueError, match=r"expected ',' or '}', but got the end of the text; close the bracket"):
        read_yaml("a: {b: 1\n")


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("a: {b: [1, 2", "close the bracket or quote that is open there"),
        ("a: [1 2: 3]\nb: [c d: e f: g]", "brackets|comma|colon"),
        ("a: b: c", "put a value that contains a colon in quotes"),
        ("a: @b", "put a value that begins with a sign such as @"),
        ("a:\n\t- b", "indent with spaces"),
    ],
)
def test_a_text_that_is_no_yaml_is_named_with_a_remedy(text: str, remedy: str) -> None:
    with pytest.raises(ValueError, match=rf"^is not YAML at line .*; .*({remedy})"):
        read_yaml(text)


def test_a_change_of_another_part_names_the_command_for_it(tmp_path: Path) -> None:
    place = Workspace(tmp_path)
    place.prepare()
    run = Run.begin(place, "one", "one", {"name": "one"})
    with pytest.raises(UsageError, match=r"judge\.orders is not a key of pairs; set it with kasasagi run$"):
        recipe_of(run, ["judge.orders=both"], "pairs")
    with pytest.raises(UsageError, match=r"pairs\.min_margin is not a key of publish; .* kasasagi dataset pair$"):
        recipe_of(run, ["pairs.min_margin=2"], "publish")
    with pytest.raises(UsageError, match=r"min_margin is a key of pairs; write pairs\.min_margin$"):
        recipe_of(run, ["min_margin=2"], "pairs")
    with pytest.raises(UsageError, match=r"formats is a key of publish; write publish\.formats$"):
        recipe_of(run, ["formats=[kto]"], "publish")


@pytest.mark.parametrize("name", ["./nofolder", "/no/folder", "~/nofolder"])
def test_a_tokenizer_that_can_only_be_a_folder_is_not_sought_on_the_hub(tmp_path: Path, name: str) -> None:
    with pytest.raises(TokenizerError) as raised:
        token_counter(TokenLimits(tokenizer=name, total=10), tmp_path)
    assert f"{name!r} is not a folder: name a folder that holds tokenizer.json" in str(raised.value)
    assert "Hub has no" not in str(raised.value)
