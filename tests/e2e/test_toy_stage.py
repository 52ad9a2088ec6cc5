"""A further built-in stage: three files change beside its own folder, and it has all that the other stages have."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.job import MODELS, Job, begun, sent, sent_by_model
from tests.e2e.toy_stage import CHANGES, kasasagi_with_gist
from tests.fake_server import FakeServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
PROMPTS = 60


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that kasasagi with the stage is imported from."""
    return kasasagi_with_gist(tmp_path_factory.mktemp("kasasagi"))


@pytest.fixture
def job(tmp_path: Path, package: Path, prefect_api: str) -> Iterator[Job]:
    """A job whose recipe has the stage."""
    with FakeServer(models=MODELS) as server:
        job = Job(tmp_path / "job", server, {"PYTHONPATH": str(package)})
        yield job.prepare(PROMPTS, gist={"model": "small"})
        job.command.stop()


def test_a_stage_touches_three_files_outside_its_folder() -> None:
    assert len(CHANGES) <= 3


def test_it_is_checked_planned_paid_once_quarantined_gated_counted_shown_and_traced(job: Job) -> None:
    call = job.command
    checked = call("check", "recipe.yaml", "-w", job.workspace).succeeded().out
    assert "small sums up\nSum up in a sentence: " in checked
    assert "[GistConfig](#gistconfig)" in call("schema", "--markdown").succeeded().out
    assert "gist.model: 'smal' is not a model" in call("check", "recipe.yaml", "--set", "gist.model=smal").failed(2)
    planned = call("plan", "recipe.yaml", "-w", job.workspace).succeeded().out
    assert f"gist up to {PROMPTS} 0 up to {PROMPTS} about" in " ".join(planned.split()), planned

    job.run().succeeded()
    assert set(begun(job.server).values()) == {1}
    [account] = job.sql("SELECT * FROM stages WHERE stage = 'gist'")
    assert account["rows_in"] == account["calls_paid"] == PROMPTS
    assert account["rows_out"] == PROMPTS - account["quarantined"] < PROMPTS
    aside = job.sql("SELECT reason, payload FROM quarantine WHERE stage = 'gist'")
    assert {row["reason"] for row in aside} == {"unreadable"}
    assert len(aside) == account["quarantined"]
    [prompts] = job.sql("SELECT count(*) AS n, count(gist) AS sums FROM prompts")
    [responses] = job.sql("SELECT count(*) AS n, count(gist_length) AS lengths, count(gist) AS sums FROM responses")
    assert prompts == {"n": account["rows_out"], "sums": account["rows_out"]}
    assert responses == {"n": responses["n"], "lengths": responses["n"], "sums": responses["n"]}
    [gists] = job.sql(
        "SELECT count(*) AS n, count(p.gist) AS equal FROM gists AS g JOIN prompts AS p USING (prompt_id, gist)"
    )
    assert gists == {"n": account["rows_out"], "equal": account["rows_out"]}
    gates = job.sql("SELECT expectation, success FROM gates WHERE stage = 'gist'")
    assert {row["expectation"] for row in gates} == {
        "ExpectColumnValuesToBeInSet(no_answer)",
        "ExpectColumnValuesToBeInSet(unreadable)",
    }
    assert all(row["success"] for row in gates)
    assert "gist" in call("show", job.newest(), "-w", job.workspace).succeeded().out
    [pair] = job.sql("SELECT prompt_id, gist FROM pairs LIMIT 1")
    traced = call("trace", pair["prompt_id"], "-w", job.workspace).succeeded().out
    assert "gist" in traced
    assert pair["gist"][:40] in " ".join(traced.split())

    before = sent(job.server)
    job.run().succeeded()
    assert sent(job.server) == before
    [again] = job.sql("SELECT calls_paid, calls_reused FROM stages WHERE stage = 'gist'")
    assert again == {"calls_paid": 0, "calls_reused": PROMPTS}
    strict = "{stage: gist, expectation: ExpectColumnValuesToBeInSet, column: unreadable, mostly: 1.0}"
    assert "gist" in job.run("--set", f"gates.expect=[{strict}]").failed(3)


def test_a_budget_leaves_the_stages_behind_it_their_share(job: Job) -> None:
    job.prepare(200, gist={"model": "small"}, budget={"calls": 500})
    assert "the budget of 500 calls" in job.run().failed(4)
    paid = {row["stage"]: row["calls_paid"] for row in job.sql("SELECT stage, calls_paid FROM stages")}
    assert paid["gist"] > 40
    assert sent_by_model(job.server)["critic"] == paid["judge"] > 0.25 * 500, paid
