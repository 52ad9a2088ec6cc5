"""Questions that are answered on a cluster: like those that are answered here, also where workers die."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from email.message import Message
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from kasasagi.blocks.cluster import worker
from kasasagi.blocks.cluster.call_batches import (
    CallBatch,
    ClusterError,
    WorkerReport,
    read_segments,
    segments_in,
    write_segment,
)
from kasasagi.blocks.cluster.transport import recover_results
from kasasagi.blocks.cluster.worker import answer_batch, share_of
from kasasagi.blocks.dispatch.budget import BudgetSpentError
from kasasagi.blocks.dispatch.dispatcher import ModelUnusableError
from kasasagi.blocks.ledger.store import LedgerEntry, LedgerError, row_of
from kasasagi.blocks.models.kinds import Budget, BundledModel, ModelConfig
from kasasagi.blocks.models.llm import Completion
from tests.blocks.cluster.conftest import ROOT, Site
from tests.blocks.helpers import (
    Reply,
    ScriptedServer,
    answer_body,
    background,
    dispatching,
    errors_of,
    kept,
    model,
    questions,
)
from tests.blocks.helpers import until as soon
from tests.fake_server import FakeServer

REPOSITORY = Path(__file__).parents[3]
FAST = (200, {}, answer_body("given at once"))


@pytest.fixture(scope="module")
def shared_server() -> Iterator[FakeServer]:
    with FakeServer() as server:
        yield server


@pytest.fixture
def server(shared_server: FakeServer) -> FakeServer:
    shared_server.configure(**{"status_all": None, "faults": {}, "transient_forever": False})
    shared_server.reset_stats()
    return shared_server


def test_answers_of_a_cluster_are_those_of_this_process(any_site: Site, server: FakeServer, tmp_path: Path) -> None:
    models: dict[str, ModelConfig] = {"small": model(server), "other": model(server, "other")}
    asked = [*questions(40), *questions(20, "other")]
    with any_site.dispatching(models) as remote, dispatching(tmp_path / "here", models) as local:
        assert [one.text for one in remote.ask(asked)] == [one.text for one in local.ask(asked)]
    assert len(any_site.sent) >= 4
    assert kept(any_site.ledger, asked) == kept(tmp_path / "here", asked)
    assert len(kept(any_site.ledger, asked)) == 60
    assert any_site.store.names() == []


def test_what_is_asked_in_one_go_is_spread_over_free_workers(site: Site, server: FakeServer) -> None:
    with site.dispatching({"small": model(server)}, batch_calls=500) as dispatcher:
        dispatcher.ask(questions(64))
    assert len(site.sent) == 2


until = partial(soon, seconds=90.0)


class Halting:
    """A server that answers some calls at once and lets the others wait until it is released."""

    def __init__(self, at_once: int) -> None:
        self.go_on = threading.Event()
        self._at_once = at_once

    def __call__(self, number: int, headers: Message) -> Reply:
        if number >= self._at_once:
            self.go_on.wait(60)
        return FAST


def process_for(batch: CallBatch) -> subprocess.Popen[bytes]:
    """A worker of its own process that answers a batch."""
    code = (
        "import sys; from kasasagi.blocks.cluster.worker import *; "
        "answer_batch(CallBatch.model_validate_json(sys.argv[1]))"
    )
    return subprocess.Popen([sys.executable, "-c", code, batch.model_dump_json()], cwd=REPOSITORY)


def entries_on(site: Site) -> list[LedgerEntry]:
    return read_segments(site.store, segments_in(site.store.names()))[0]


@pytest.mark.parametrize("taken_over_by", ["the cluster", "the flow"])
def test_the_death_of_a_worker_costs_what_was_in_flight(site: Site, taken_over_by: str) -> None:
    halting = Halting(at_once=20)

    def send(batch: CallBatch, options: Mapping[str, Any]) -> WorkerReport:
        if len(site.sent) > 1:  # the flow asks again for what is missing
            return answer_batch(batch)
        process = process_for(batch)
        until(lambda: len(entries_on(site)) == 20 and server.posts == 24)
        process.kill()
        process.wait()
        halting.go_on.set()
        if taken_over_by == "the flow":
            raise ConnectionError("the worker is gone")
        return answer_batch(batch)  # as Dask and Ray do: the same task, on another worker

    asked = questions(40)
    with ScriptedServer(halting) as server:
        models = {"small": model(server.base_url, max_concurrency=4)}
        with site.dispatching(models, send, at_once=1, batch_calls=100) as dispatcher:
            answers = dispatcher.ask(asked)
    assert [answer.text for answer in answers] == ["given at once"] * 40
    assert server.posts == 40 + 4
    assert len(kept(site.ledger, asked)) == 40


def test_what_a_run_left_on_the_storage_is_in_the_next_ones_ledger(any_site: Site) -> None:
    asked, now = questions(3), time.time()
    rows = [row_of(LedgerEntry(one.key, "small", Completion(text=f"answer {one.key}")), now) for one in asked]
    for run, row in zip(("killed", "killed", "alive"), rows, strict=True):
        write_segment(any_site.store, f"workspace/{run}/parcels/1-0-ab", row[0].hex(), [row])
    write_segment(any_site.store, "another/killed/parcels/1-0-ab", "0", rows)
    assert recover_results(any_site.store, any_site.ledger, "workspace", ["alive"]) == 2
    assert set(kept(any_site.ledger, asked)) == {asked[0].key, asked[1].key}
    left = {name.split("/parcels/")[0] for name in any_site.store.names()}
    assert left == {"workspace/alive", "another/killed"}


def stopped_in_the_middle(site: Site, stop: Callable[[CallBatch], None]) -> str | None:
    """What a worker says that something stopped when 14 of its 40 calls were sent; it must send no further one."""
    halting = Halting(at_once=10)
    reports: list[WorkerReport] = []
    with ScriptedServer(halting) as server:
        transport = site.transport({"small": model(server.base_url, max_concurrency=4)}, at_once=1)
        batch = batch_with(site, 40)
        thread = background(lambda: reports.append(answer_batch(batch)))
        until(lambda: server.posts == 14)
        stop(batch)
        until(lambda: all(session.has_ended for session in worker._SESSIONS.values()))
        halting.go_on.set()
        thread.join(60)
        assert server.posts == 14
        transport.finish()
    return reports[0].stopped


def test_a_worker_of_a_run_that_is_gone_sends_nothing_more(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "WATCH_S", 0.05)

    def gone(_: CallBatch) -> None:
        recover_results(site.store, site.ledger, ROOT.split("/", maxsplit=1)[0], [])

    assert stopped_in_the_middle(site, gone) == "the run that asked has ended"
    assert len(kept(site.ledger, questions(40))) == 14  # what was in flight came late, and is kept


def test_a_worker_stops_where_another_has_taken_its_batch(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "WATCH_S", 0.05)

    def taken_over(batch: CallBatch) -> None:
        site.store.write_whole(f"{batch.folder}/claim", b"another worker")

    assert stopped_in_the_middle(site, taken_over) == "another worker has taken over the batch"


def batch_with(site: Site, count: int) -> CallBatch:
    """A batch on the storage, whose run says that it is alive."""
    from kasasagi.blocks.cluster.call_batches import write_questions

    batch = CallBatch(storage=site.storage, root=ROOT, name="1-000000-ab", at_once=1, flush_s=0)
    write_questions(site.store, batch, questions(count))
    return batch


def test_a_run_that_says_nothing_is_given_up(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "WATCH_S", 0.05)
    halting = Halting(at_once=10)
    reports: list[WorkerReport] = []
    with ScriptedServer(halting) as server:
        transport = site.transport({"small": model(server.base_url, max_concurrency=4)}, at_once=1)
        batch = batch_with(site, 40)
        transport._ended = True  # as a flow that was killed, it says nothing more
        thread = background(lambda: reports.append(answer_batch(batch)))
        until(lambda: server.posts == 14)
        monkeypatch.setattr(worker, "LEASE_S", 0.0)
        until(lambda: all(session.has_ended for session in worker._SESSIONS.values()))
        halting.go_on.set()
        thread.join(60)
    assert reports[0].stopped == "the run that asked has sent nothing for a while"
    assert server.posts == 14


def test_a_run_that_is_stopped_keeps_what_is_in_flight_and_sends_nothing_more(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "WATCH_S", 0.05)
    halting = Halting(at_once=10)
    asked = questions(40)
    with ScriptedServer(halting) as server:
        models = {"small": model(server.base_url, max_concurrency=4)}
        with site.dispatching(models, at_once=1, batch_calls=100) as dispatcher:
            thread = background(lambda: errors_of(dispatcher, asked))
            until(lambda: server.posts == 14)
            dispatcher.stop(KeyError("a gate"))
            until(lambda: all(session.has_ended for session in worker._SESSIONS.values()))
            halting.go_on.set()
        thread.join(20)
        assert server.posts == 14
    assert len(kept(site.ledger, asked)) == 14


def test_a_hold_reaches_the_workers(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "WATCH_S", 0.05)
    halting = Halting(at_once=10)
    with ScriptedServer(halting) as server:
        models = {"small": model(server.base_url, max_concurrency=4)}
        with site.dispatching(models, at_once=1, batch_calls=100) as dispatcher:
            answers: list[Any] = []
            thread = background(lambda: answers.extend(dispatcher.ask(questions(40))))
            until(lambda: server.posts == 14)
            dispatcher.hold()
            until(lambda: all(one.dispatcher._held for one in worker._SESSIONS.values()))
            halting.go_on.set()
            until(lambda: all(one.dispatcher.in_flight() == 0 for one in worker._SESSIONS.values()))
            assert server.posts == 14
            dispatcher.release()
            thread.join(60)
        assert len(answers) == server.posts == 40


def test_a_cluster_that_loses_the_same_questions_again_and_again_ends_the_run(site: Site, server: FakeServer) -> None:
    def send(batch: CallBatch, options: Mapping[str, Any]) -> WorkerReport:
        raise ConnectionError("nobody there")

    with (
        site.dispatching({"small": model(server)}, send) as dispatcher,
        pytest.raises(ClusterError, match=r"lost the same calls 4 times \(ConnectionError: nobody there\)"),
    ):
        dispatcher.ask(questions(4))


def test_a_wrong_key_ends_the_run_in_one_sentence(site: Site, server: FakeServer) -> None:
    server.configure(status_all=401)
    with site.dispatching({"small": model(server)}) as dispatcher, pytest.raises(ModelUnusableError) as raised:
        dispatcher.ask(questions(4))
    assert "model 'small'" in str(raised.value)


def test_failures_that_may_pass_are_handed_on_and_not_kept(site: Site, server: FakeServer) -> None:
    server.configure(faults={"http_500": 1.0}, transient_forever=True)
    with site.dispatching({"small": model(server, max_retries=0, patience_s=0)}) as dispatcher:
        answers = dispatcher.ask(questions(4))
    assert all(answer.transient and answer.error for answer in answers)
    assert kept(site.ledger, questions(4)) == {}


def test_a_budget_holds_for_all_workers_together(site: Site, server: FakeServer) -> None:
    with (
        site.dispatching({"small": model(server)}, budget=Budget(calls=10)) as dispatcher,
        pytest.raises(BudgetSpentError),
    ):
        dispatcher.ask(questions(40))
    assert server.stats()["calls"] <= 10


def test_each_model_is_asked_where_its_resources_are(site: Site, server: FakeServer) -> None:
    placed: dict[str, Any] = {}

    def send(batch: CallBatch, options: Mapping[str, Any]) -> WorkerReport:
        from kasasagi.blocks.cluster.call_batches import read_questions

        labels = {question.label for question in read_questions(site.store, batch)}
        placed.update(dict.fromkeys(labels, options))
        return answer_batch(batch)

    models = {"small": model(server), "large": model(server, "large")}
    with site.dispatching(models, send, resources={"large": {"num_gpus": 1}}) as dispatcher:
        dispatcher.ask([*questions(4), *questions(4, "large")])
    assert placed == {"small": {}, "large": {"num_gpus": 1}}


def test_a_segment_that_was_changed_is_never_served(site: Site) -> None:
    one = questions(1)[0]
    row = row_of(LedgerEntry(one.key, "small", Completion(text="true")), time.time())
    forged = (*row[:4], row[4].replace(b"true", b"lies"), row[5])
    write_segment(site.store, "workspace/killed/parcels/1-0-ab", "0", [forged])
    with pytest.raises(LedgerError, match="seal is broken"):
        recover_results(site.store, site.ledger, "workspace", [])


def test_each_process_has_its_share_of_a_models_limits(server: FakeServer) -> None:
    whole = model(server, max_concurrency=64, requests_per_minute=600, tokens_per_minute=6000)
    part = share_of(whole, 2, 8)
    assert part.model_dump() == {
        **whole.model_dump(),
        "max_concurrency": 16,
        "start_concurrency": 16,
        "requests_per_minute": 150,
        "tokens_per_minute": 1500,
    }
    assert share_of(BundledModel(kind="bundled"), 2, 8) == BundledModel(kind="bundled")
