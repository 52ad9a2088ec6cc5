"""`kasasagi run` on a recipe that mixes runs: shares, gates, approval, and the commands on the run that it makes."""

import asyncio
import json
from typing import Any

import pytest
import yaml

from kasasagi.flows.publication import publish
from tests.e2e.conftest import NewJob
from tests.e2e.job import Job, prompt_rows, sent, tree

ALIKE = {"stage": "format_dpo", "expectation": "ExpectSplitDuplicatesToBeBetween", "severity": "critical"}
"""An opt-in gate that these prompts do not pass."""
FEW = {"stage": "format_dpo", "expectation": "ExpectTableRowCountToBeBetween", "max_value": 1}


def mix(job: Job, **changes: Any) -> list[Any]:
    """The command that mixes the runs of two recipes, with some changes of the mix."""
    parts = {"first": {"recipe": "first", "share": 0.5}, "second": {"recipe": "second", "share": 0.5}}
    # The prompts differ in their numbers alone.
    recipe = {"name": "mixed", "source": {"kind": "runs", "parts": parts}, "filter": {"dedup": {"near": 1}}}
    recipe |= {"publish": {"path": "mixed", "split": {"test": 0.3}, "formats": ["trl", "kto"]}, **changes}
    (job.folder / "mix.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    return ["run", "mix.yaml", "-w", job.workspace]


def two_runs(job: Job) -> Job:
    """A job whose workspace has the runs of two recipes, which share five prompts."""
    for name, start in (("first", 0), ("second", 25)):
        job.write_recipe(name=name, publish={"path": name})
        job.write_prompts(prompt_rows(30, start))
        job.run().succeeded()
    return job


def test_runs_are_mixed_gated_and_published_without_a_call(new_job: NewJob) -> None:
    job = two_runs(new_job())
    asked = sent(job.server)
    assert "first" in job.command(*mix(job)).succeeded().err
    assert sent(job.server) == asked
    parts = {row["part"]: row for row in job.sql("select part, run, pairs, pairs_in, pairs_left from mix_parts")}
    assert abs(parts["first"]["pairs"] - parts["second"]["pairs"]) <= 1
    sides = {
        name: [
            json.loads(line)
            for line in (job.folder / "mixed" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        ]
        for name in ("train", "test")
    }
    assert sum(map(len, sides.values())) == sum(part["pairs"] for part in parts.values())
    train, test = ({row["prompt_id"] for row in rows} for rows in sides.values())
    assert train
    assert test
    assert not train & test
    row = sides["train"][0]
    assert row["chosen_model"].startswith(f"{row['part']}/")
    card = (job.folder / "mixed" / "README.md").read_text(encoding="utf-8")
    assert all(part["run"] in card for part in parts.values())
    traced = job.command("trace", row["prompt_id"], job.newest(), "-w", job.workspace).succeeded().out
    assert f"trace {row['prompt_id']} {row['part_run']} -w " in traced
    back = job.command("trace", row["chosen_id"], row["part_run"], "-w", job.workspace).succeeded().out
    assert row["chosen"][0]["content"][:20] in back
    assert "near_duplicate" not in job.command("show", "-w", job.workspace).succeeded().out
    job.command("diff", parts["first"]["run"], job.newest(), "-w", job.workspace).succeeded()
    job.command("report", "-o", "mix.html", "-w", job.workspace).succeeded()
    before = tree(job.folder / "mixed" / "dataset")
    job.command(*mix(job), "--set", "source.seed=0").succeeded()
    assert tree(job.folder / "mixed" / "dataset") == before


def test_nothing_is_published_that_a_gate_stops_until_a_person_approves_it(new_job: NewJob) -> None:
    job = two_runs(new_job())
    command = mix(job, gates={"on_fail": "pause", "expect": [ALIKE]})
    assert "test prompts like training prompts" in job.command(*command).failed(3)
    assert not (job.folder / "mixed").exists()
    job.command("approve", "-w", job.workspace, "--yes").succeeded()
    job.command(*command).succeeded()
    assert (job.folder / "mixed" / "train.jsonl").exists()
    job.write_recipe(name="first", gates={"expect": [FEW]})
    job.run().failed(3)
    stopped = job.newest()
    refused = job.command(*mix(job), "--set", f"source.parts.first={{run: {stopped}, share: 0.5}}").failed(2)
    assert f"source.parts.first.run: the run {stopped} is stopped (a gate failed: " in refused


@pytest.mark.slow
def test_an_approved_mix_is_published_by_the_flow_that_an_approval_starts(
    new_job: NewJob, monkeypatch: pytest.MonkeyPatch, prefect_api: str
) -> None:
    job = two_runs(new_job())
    job.command(*mix(job, gates={"on_fail": "pause", "expect": [ALIKE]})).failed(3)
    stopped = job.newest()
    job.command("approve", "-w", job.workspace, "--yes").succeeded()
    monkeypatch.chdir(job.folder)
    published = publish(stopped, workspace=str(job.workspace))
    assert asyncio.run(published) == job.newest() != stopped
    assert (job.folder / "mixed" / "train.jsonl").exists()
