"""The tutorial of two models and a judge, walked through: its own prompts, recipe and commands, in their order."""

import re
import shlex
from pathlib import Path

import pytest

from tests.e2e.conftest import NewJob
from tests.e2e.job import Job, prompt_rows
from tests.test_docs import ROOT, blocks

pytestmark = pytest.mark.slow
TUTORIAL = ROOT / "docs" / "tutorial-two-models.md"


def commands(file: Path) -> list[list[str]]:
    """The arguments of every call of ours in a document, in their order."""
    lines = [line for text in blocks(file, "") for line in text.splitlines()]
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("kasasagi ")]


def written_down(job: Job) -> None:
    """Its prompts, with more of the kind, and its recipe, with the addresses of a server that is there."""
    [prompts] = blocks(TUTORIAL, "json")
    more = [{"prompt": row["prompt"], "topic": "numbers"} for row in prompt_rows(40)]
    job.write_prompts(more)
    file = job.folder / "prompts.jsonl"
    file.write_text(prompts + file.read_text(encoding="utf-8"), encoding="utf-8")
    [recipe] = blocks(TUTORIAL, "yaml")
    here = f'base_url: "{job.server.base_url}"'
    recipe = re.sub(r'base_url: "http://127\.0\.0\.1:800\d/v1"', here, recipe)
    recipe = recipe.replace("model: gpt-4o-mini, api_key_env: OPENAI_API_KEY", f"model: critic, {here}")
    (job.folder / "recipe.yaml").write_text(recipe, encoding="utf-8")


def test_every_command_of_the_tutorial_does_what_it_is_there_for(new_job: NewJob) -> None:
    job = new_job(faults={"refusal": 0.1}, fault_models=("small",))
    written_down(job)
    done = {" ".join(words): job.command(*words).succeeded().out for words in commands(TUTORIAL)}
    assert len(done) >= 10
    assert (job.folder / "out" / "two-models" / "train.jsonl").exists()
    assert "kto" in (job.folder / "out" / "again" / "README.md").read_text(encoding="utf-8")
    assert "pairs" in done["show"]
    assert "large" in next(out for words, out in done.items() if words.startswith("sql"))
    assert job.server.stats()["samples_begun_again"] == 0
