"""Instructions alone: invented, published, taken as the seeds of another recipe, and never paid for twice."""

import json

import pytest
import yaml

from tests.e2e.conftest import NewJob
from tests.e2e.job import recipe_for, sent

pytestmark = pytest.mark.slow


def test_instructions_are_published_and_are_seeds_of_pairs(new_job: NewJob) -> None:
    job = new_job().prepare(1)
    source = {"kind": "magpie", "model": "small", "template": "<user>", "target": 30}
    recipe = {name: recipe_for(job.server.base_url)[name] for name in ("models",)}
    recipe |= {"name": "seeds", "source": source, "publish": {"path": "seeds"}}
    (job.folder / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    first = job.run().succeeded()
    assert "Instructions" in first.out
    lines = (job.folder / "seeds" / "train.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 30
    assert {row["role"] for line in lines for row in json.loads(line)["messages"]} == {"user"}
    paid = sent(job.server)
    job.run("--set", "source.target=20").succeeded()
    fewer = (job.folder / "seeds" / "train.jsonl").read_text(encoding="utf-8").splitlines()
    assert fewer == lines[:20]
    assert sent(job.server) == paid
    assert (
        "20 instructions of the run" in job.command("publish", "--path", "again", "-w", job.workspace).succeeded().out
    )

    job.write_recipe(source={"path": "seeds/train.jsonl", "columns": {"instruction": "instruction"}, "keep": []})
    job.run().succeeded()
    assert job.sql("select count(distinct prompt_id) as n from prompts") == [{"n": 20}]
    assert job.published()
