"""The tutorial of two models and a judge, walked through: its own prompts, recipe and commands, in their order."""

import shlex
from pathlib import Path

import pytest
import yaml

from tests.e2e.conftest import NewJob
from tests.e2e.job import Job
from tests.test_docs import ROOT, blocks

pytestmark = pytest.mark.slow
TUTORIAL = ROOT / "docs" / "tutorial-two-models.md"


def commands(file: Path) -> list[list[str]]:
    """The arguments of every call of ours in a document, in their order."""
    lines = [line for text in blocks(file, "") for line in text.splitlines()]
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("kasasagi ")]


def shipped_prompts(job: Job) -> list[str]:
    """The rows that the first command has copied."""
    return (job.folder / "prompts" / "everyday.jsonl").read_text(encoding="utf-8").splitlines()


def write_recipe(job: Job) -> None:
    """Write its recipe, with the test's server in place of the bundled model, whose answers differ each time."""
    recipe = yaml.safe_load(blocks(TUTORIAL, "yaml")[0])
    here = {"kind": "openai", "base_url": job.server.base_url}
    recipe["models"] = {name: {**here, "model": name} for name in recipe["models"]}
    (job.folder / "recipe.yaml").write_text(yaml.safe_dump(recipe, allow_unicode=True), encoding="utf-8")


def test_every_command_of_the_tutorial_does_what_it_is_there_for(new_job: NewJob) -> None:
    job = new_job()
    first, *others = commands(TUTORIAL)
    job.command(*first).succeeded()
    assert set(blocks(TUTORIAL, "json")[0].splitlines()) < set(shipped_prompts(job))
    write_recipe(job)
    done = {" ".join(words): job.command(*words).succeeded().out for words in others}
    assert len(done) >= 10
    assert (job.folder / "out" / "two-models" / "train.jsonl").exists()
    assert "kto" in (job.folder / "out" / "again" / "README.md").read_text(encoding="utf-8")
    assert "pairs" in done["show"]
    assert "large" in next(out for words, out in done.items() if words.startswith("sql"))
    assert job.server.stats()["samples_begun_again"] == 0
