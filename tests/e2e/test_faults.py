"""Servers that fail: what may pass is asked again, what may not is quarantined or, where it dooms all, ends the run."""

import json
import socket

import pytest

from tests.e2e.conftest import NewJob
from tests.e2e.job import MODELS, Job, sent, sent_by_model

PASSING = {"http_429": 0.05, "http_500": 0.05, "reset": 0.05, "cut_body": 0.05, "malformed_json": 0.05}
LASTING = {"empty_content": 0.05, "refusal": 0.05, "context_too_long": 0.05}
LASTING_REASONS = {"empty", "refusal", "context_too_long"}
PASSING_REASONS = {"rate_limited", "server_error", "connection", "malformed_reply"}


def assert_closed(job: Job) -> None:
    """Every stage's account closes, and the quarantine table holds what the accounts say."""
    stages = {row["stage"]: row for row in job.sql("from stages")}
    assert list(stages) == ["load", "filter", "respond", "judge", "format_dpo"]
    for row in stages.values():
        assert row["rows_in"] == row["rows_out"] + row["quarantined"], row
    held = {row["stage"]: row["rows"] for row in job.sql("select stage, count(*) as rows from quarantine group by all")}
    assert held == {name: row["quarantined"] for name, row in stages.items() if row["quarantined"]}
    assert job.sql("from quarantine where reason is null or payload is null") == []


def test_eight_faults_at_five_percent_each(new_job: NewJob) -> None:
    job = new_job(faults=PASSING | LASTING, transient_forever=True)
    patience = {name: {"max_retries": 1, "patience_s": 2} for name in MODELS}
    job.prepare(100, models=patience, gates={"on_fail": "warn"}).run().succeeded()
    assert_closed(job)
    reasons = {row["reason"] for row in job.sql("select distinct reason from quarantine where stage = 'respond'")}
    # A request that waits for a server that is away takes over what keeps it away: which of them is a matter of time.
    assert LASTING_REASONS < reasons <= LASTING_REASONS | PASSING_REASONS
    first = job.server.samples()
    failed = {name for name, count in first.items() if not count["finished"]}
    assert failed

    job.server.configure(faults=LASTING, transient_forever=False)
    job.run().succeeded()
    assert_closed(job)
    second = job.server.samples()
    again = {name for name, count in first.items() if second[name]["begun"] > count["begun"]}
    assert again == failed
    assert all(count["finished"] == 1 for count in second.values())
    assert job.sql(f"from quarantine where reason in {tuple(sorted(PASSING_REASONS))}") == []


@pytest.mark.slow
def test_faults_that_pass_are_outlasted_in_one_run(new_job: NewJob) -> None:
    job = new_job(faults=PASSING | LASTING)
    job.prepare(100, gates={"on_fail": "warn"}).run().succeeded()
    assert_closed(job)
    assert job.kept() == job.server.stats()["samples_distinct"]
    before = sent(job.server)
    job.run().succeeded()
    assert sent(job.server) == before


def test_what_makes_all_calls_pointless_ends_the_run_in_one_sentence(new_job: NewJob) -> None:
    wrong_key, no_model = new_job("wrong-key", status_all=401), new_job("no-model")
    nobody, no_key = new_job("nobody"), new_job("no-key")
    wrong_key.prepare(40)
    no_model.prepare(40, models={"large": {"model": "larger"}})
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{held.getsockname()[1]}/v1"
        away = {name: {"base_url": address, "max_retries": 1} for name in MODELS}
        nobody.prepare(40, models=away)
        no_key.prepare(40, models={"large": {"api_key_env": "KEY_THAT_IS_NOT_SET"}})
        running = [job.start() for job in (wrong_key, no_model, nobody, no_key)]
        ended = [one.wait(120) for one in running]

    assert "401" in ended[0].failed(1)
    stats = wrong_key.server.stats()
    assert (stats["samples_begun"], stats["calls"]) == (0, 0)
    assert stats["by_endpoint"]["models"]["calls"] <= 2, "one request for each model that was to respond"
    output = ended[1].failed(1)
    assert "larger" in output
    assert no_model.server.stats()["by_model"]["larger"]["calls"] == 1
    assert address in ended[2].failed(1)
    assert "KEY_THAT_IS_NOT_SET" in ended[3].failed(2)
    assert "large" not in sent_by_model(no_key.server)
    assert not list(no_key.workspace.glob("runs/*")), "nothing was started"
    for job in (wrong_key, no_model, nobody):
        assert not job.out.exists()
        assert json.loads(next(job.workspace.glob("runs/*/run.json")).read_text())["status"] == "failed"
