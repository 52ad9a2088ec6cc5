"""The commands around a run: plan, preview, pair, publish, check, init, schema, and recipes that are wrong."""

import json
import re
import socket
from typing import Any

import yaml

from tests.e2e.command import Command, Ended
from tests.e2e.conftest import PROMPTS, NewJob
from tests.e2e.job import Job, recipe_for, sent, sent_by_model

KEY = "sk-proj-9a8b7c6d5e4f3a2b1c0d"


def planned(ended: Ended) -> dict[str, list[str]]:
    """The cells that `plan` shows for each stage, from the calls to the cost."""
    lines = [re.split(r"\s{2,}", line.strip()) for line in ended.succeeded().out.splitlines()]
    return {line[0]: line[1:4] for line in lines if line[0] in ("respond", "judge")}


def test_a_plan_says_exactly_what_will_be_sent(new_job: NewJob, finished: Job) -> None:
    job = new_job().copy_of(finished).write_recipe()
    fresh = ("plan", "recipe.yaml", "-w", job.folder / "fresh")
    known = ("plan", "recipe.yaml", "-w", job.workspace)
    fresh_plan, again, changed = job.command.together(fresh, known, [*known, "--set", "judge.language=ja"])
    assert planned(fresh_plan) == {"respond": ["80", "0", "80"], "judge": ["up to 80", "0", "up to 80"]}
    assert planned(again) == {"respond": ["80", "80", "0"], "judge": ["80", "80", "0"]}
    assert planned(changed)["judge"] == ["80", "28", "52"]
    assert sent(job.server) == 0
    assert not list((job.workspace / "runs").glob("plan-*"))


def test_preview_shows_pairs_and_publishes_nothing(new_job: NewJob) -> None:
    job = new_job().prepare(PROMPTS)
    ended = job.command("preview", "recipe.yaml", "-n", 4, "-w", job.workspace).succeeded()
    assert "chosen" in ended.out
    assert sent_by_model(job.server) == {"small": 4, "large": 4, "critic": 8}
    assert not job.out.exists()


def test_pairs_and_publications_are_rebuilt_without_a_call(new_job: NewJob, finished: Job) -> None:
    job = new_job().copy_of(finished).write_recipe()
    job.command("pair", "--set", "pairs.min_margin=2", "-w", job.workspace).succeeded()
    pairs = job.sql("select min(margin) as least, count(*) as count from pairs")
    assert pairs[0]["least"] >= 2
    job.command("publish", "--path", "strict", "-w", job.workspace).succeeded()
    assert len((job.folder / "strict" / "train.jsonl").read_text().splitlines()) == pairs[0]["count"]
    assert job.published() == finished.published()
    assert "judge" in job.command("pair", "--set", "judge.orders=random", "-w", job.workspace).failed(2)
    assert sent(job.server) == 0


def test_check_asks_each_endpoint(new_job: NewJob) -> None:
    job = new_job().prepare(5)
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{held.getsockname()[1]}/v1"
        good, pinged, unknown, away = job.command.together(
            ("check", "recipe.yaml"),
            ("check", "recipe.yaml", "--ping"),
            ("check", "recipe.yaml", "--set", "models.large.model=larg"),
            ("check", "recipe.yaml", "--set", f"models.large.base_url={address}"),
        )
    assert "the recipe is valid" in good.succeeded().out
    assert "the recipe is valid" in pinged.succeeded().out
    assert sent(job.server) == 3
    assert "models.large.model: 'larg'" in unknown.failed(1)
    assert "did you mean 'large'" in unknown.message
    assert "models.large.base_url" in away.failed(1)


def test_init_writes_a_recipe_that_check_reads(new_job: NewJob) -> None:
    job = new_job().prepare(5)
    job.command("init", "mine.yaml").succeeded()
    assert "already exists" in job.command("init", "mine.yaml").failed(2)
    models = yaml.safe_load((job.folder / "mine.yaml").read_text())["models"]
    changes = [f"models.{name}.base_url={job.server.base_url}" for name in models]
    changes += ["models.critic.model=critic", "models.critic.api_key_env=null"]
    sets = [part for change in changes for part in ("--set", change)]
    assert "the recipe is valid" in job.command("check", "mine.yaml", *sets).succeeded().out


def test_the_schema_accepts_a_recipe_and_refuses_an_unknown_key(new_job: NewJob) -> None:
    import jsonschema

    schema = json.loads(new_job().command("schema").succeeded().out)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    assert validator.is_valid(recipe_for("http://127.0.0.1:8000/v1"))
    assert not validator.is_valid(recipe_for("http://127.0.0.1:8000/v1", jugde={}))


WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "unknown key": ({"judge": {"ordrs": "both"}}, "judge.ordrs: 'ordrs'", "did you mean 'orders'?"),
    "wrong type": ({"respond": {"samples": "many"}}, "respond.samples: 'many'", "whole number"),
    "unknown model": ({"judge": {"model": "critik"}}, "judge.model: 'critik'", "did you mean 'critic'?"),
    "unknown column": ({"respond": {"template": "{{ instructon }}"}}, "'instructon'", "did you mean 'instruction'?"),
    "literal key": ({"models": {"small": {"api_key_env": KEY}}}, "models.small.api_key_env", "environment variable"),
    "key under its name": ({"models": {"small": {"api_key": KEY}}}, "models.small.api_key", "api_key_env"),
}


def test_wrong_recipes_are_refused_in_one_sentence(new_job: NewJob) -> None:
    job = new_job().prepare(5)
    for name, (changes, _, _) in WRONG.items():
        file = job.folder / f"{name}.yaml"
        file.write_text(yaml.safe_dump(recipe_for(job.server.base_url, **changes)))
    names = list(WRONG)
    ended = [
        *job.command.together(*(("run", f"{name}.yaml", "-w", job.workspace) for name in names[:3])),
        *job.command.together(*(("run", f"{name}.yaml", "-w", job.workspace) for name in names[3:])),
    ]
    for name, one in zip(names, ended, strict=True):
        sentence = one.failed(2)
        assert all(part in sentence for part in WRONG[name][1:]), sentence
        assert KEY not in one.out + one.err
        assert len(one.err.splitlines()) == 1, one.err
    assert not job.workspace.exists()
    assert sent(job.server) == 0


def test_the_command_answers_from_nothing(alone: NewJob) -> None:
    command: Command = alone(from_nothing=True).command
    assert "preference" in command("--help").succeeded().out.casefold()
    assert command("run", "no-such-recipe.yaml").code == 2
