"""A model that is asked in batches: every answer to its own question, nothing twice, and the wait survives anything."""

import asyncio
import multiprocessing
import os
import threading
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest

from kasasagi.blocks.canonical import ledger_key
from kasasagi.blocks.dispatch.batch.backends import BatchServer
from kasasagi.blocks.dispatch.batch.lane import BatchLane
from kasasagi.blocks.dispatch.batch.notes import BatchNote, BatchNotes
from kasasagi.blocks.dispatch.batch.results import store_permanent
from kasasagi.blocks.dispatch.batch.splitting import Batch
from kasasagi.blocks.dispatch.dispatcher import Dispatcher, ModelUnusableError, StoppedError
from kasasagi.blocks.dispatch.pending_requests import Question
from kasasagi.blocks.ledger.store import LedgerError
from kasasagi.blocks.models.embeddings import unpack
from kasasagi.blocks.models.kinds import OpenAIModel
from kasasagi.blocks.models.llm import Completion
from tests.blocks.helpers import background, dispatching, errors_of, kept, model, question, questions, until
from tests.fake_server import FakeServer, ServerConfig

QUICK = {"gather_s": 0.05, "poll_s": 0.02}


@pytest.fixture(scope="module")
def running() -> Iterator[FakeServer]:
    with FakeServer() as server:
        yield server


@pytest.fixture
def server(running: FakeServer, quick: None) -> FakeServer:
    running.configure(**ServerConfig(models=("small",)).model_dump())
    running.reset_stats()
    return running


def batched(server: FakeServer | str, **settings: Any) -> OpenAIModel:
    return model(server, batch={**QUICK, **settings})


def ask(folder: Path, small: OpenAIModel, count: int, about: str) -> list[Completion]:
    with dispatching(folder, {"small": small}) as dispatcher:
        return dispatcher.ask(questions(count, about=about))


def plain_answers(folder: Path, server: FakeServer, count: int, about: str) -> list[str]:
    """What the server says to the same questions when each is sent by itself."""
    with dispatching(folder, {"small": model(server)}) as dispatcher:
        return [answer.text for answer in dispatcher.ask(questions(count, about=about))]


def batches(server: FakeServer) -> int:
    return sum(count for name, count in server.stats()["batches"].items() if name != "files")


def notes(folder: Path) -> list[Any]:
    return BatchNotes(folder / "batches").all()


@pytest.mark.parametrize("noise", [False, True])
def test_answers_come_to_their_own_questions_in_whatever_order(tmp_path: Path, server: FakeServer, noise: bool) -> None:
    server.configure(batch_noise=noise)
    before = batches(server)
    answers = ask(tmp_path / "a", batched(server), 60, f"order {noise}")
    assert batches(server) == before + 1
    assert server.stats()["calls"] == 0, "nothing is sent by itself"
    assert [answer.text for answer in answers] == plain_answers(tmp_path / "b", server, 60, f"order {noise}")
    assert len(kept(tmp_path / "a", questions(60, about=f"order {noise}"))) == 60
    assert not list((tmp_path / "a" / "batches").iterdir()), "what is settled is forgotten"


def test_questions_for_both_endpoints_and_beyond_a_batchs_limit_become_several(
    tmp_path: Path, server: FakeServer
) -> None:
    before = batches(server)
    many = [*questions(10, about="limits"), *(question("x", prompt=f"raw {number}") for number in range(3))]
    raw = [type(one)(one.label, one.key, {"prompt": one.request["prompt"]}) for one in many[10:]]
    with dispatching(tmp_path, {"small": batched(server, max_requests=4)}) as dispatcher:
        answers = dispatcher.ask([*many[:10], *raw])
    assert all(answer.error is None and answer.text for answer in answers)
    assert batches(server) == before + 3 + 1


def test_vectors_come_in_batches_too(tmp_path: Path, server: FakeServer) -> None:
    request = {"input": "a magpie"}
    asked = Question("small", ledger_key("small", request, 0), request)
    with dispatching(tmp_path, {"small": batched(server)}) as dispatcher:
        (answer,) = dispatcher.ask([asked])
    assert (answer.error, len(unpack(answer.text)) > 1) == (None, True)


def test_an_expired_batch_keeps_its_answers_and_asks_the_rest_again(tmp_path: Path, server: FakeServer) -> None:
    server.configure(batch_ending="expired", batch_share=0.5)
    with dispatching(tmp_path, {"small": batched(server)}) as dispatcher:
        answers: list[Completion] = []
        thread = threading.Thread(target=lambda: answers.extend(dispatcher.ask(questions(40, about="late"))))
        thread.start()
        until(lambda: len(kept(tmp_path, questions(40, about="late"))) > 0)
        first = len(kept(tmp_path, questions(40, about="late")))
        server.configure(batch_ending="completed", batch_share=1.0)
        thread.join(30)
    assert 5 < first < 35
    assert all(answer.error is None for answer in answers)
    assert server.stats()["samples_begun_again"] == 0, "what was answered is not asked again"


def test_a_cancelled_batch_is_not_asked_again_in_this_run(tmp_path: Path, server: FakeServer) -> None:
    server.configure(batch_ending="cancelled", batch_share=0.5)
    before = batches(server)
    answers = ask(tmp_path, batched(server), 40, "cancelled")
    failed = [answer for answer in answers if answer.error]
    assert 5 < len(failed) < 35
    assert all(answer.transient and "cancelled" in (answer.detail or "") for answer in failed)
    assert batches(server) == before + 1
    server.configure(batch_ending="completed", batch_share=1.0)
    answers = ask(tmp_path, batched(server), 40, "cancelled")
    assert all(answer.error is None for answer in answers)


def test_a_refused_batch_ends_the_run_in_the_servers_words(tmp_path: Path, server: FakeServer) -> None:
    server.configure(batch_ending="failed")
    with pytest.raises(ModelUnusableError, match=r"refused the batch .*Enqueued token limit"):
        ask(tmp_path, batched(server), 3, "refused")
    assert not notes(tmp_path)


def test_a_batch_that_is_too_much_for_now_is_handed_over_again(tmp_path: Path, server: FakeServer) -> None:
    server.configure(batch_ending="token_limit_exceeded")
    with dispatching(tmp_path, {"small": batched(server)}) as dispatcher:
        answers: list[Completion] = []
        thread = threading.Thread(target=lambda: answers.extend(dispatcher.ask(questions(5, about="too much"))))
        thread.start()
        until(lambda: dispatcher.counters.retried > 0)
        server.configure(batch_ending="completed")
        thread.join(30)
    assert [answer.error for answer in answers] == [None] * 5


def test_single_requests_fail_as_they_do_elsewhere(tmp_path: Path, server: FakeServer) -> None:
    server.configure(faults={"http_500": 0.2, "http_429": 0.2, "broken_off": 0.1, "context_too_long": 0.3})
    answers = ask(tmp_path, batched(server), 60, "faults")
    reasons = {answer.error for answer in answers}
    assert reasons == {None, "context_too_long"}
    assert any(answer.attempts > 1 for answer in answers)
    found = kept(tmp_path, questions(60, about="faults"))
    assert {one.error for one in found.values()} == reasons
    assert len(found) == 60


@pytest.mark.parametrize(("config", "words"), [({"status_all": 401}, "401"), ({"models": ["other"]}, "does not exist")])
def test_what_makes_batches_pointless_ends_the_run(
    tmp_path: Path, server: FakeServer, config: dict[str, Any], words: str
) -> None:
    server.configure(**config)
    with pytest.raises(ModelUnusableError, match=words):
        ask(tmp_path, batched(server), 3, f"pointless {words}")


def test_a_stopped_run_leaves_its_batch_and_the_next_waits_on(tmp_path: Path, server: FakeServer) -> None:
    server.configure(batch_s=3600)
    before = batches(server)
    dispatcher = Dispatcher({"small": batched(server)}, {}, tmp_path)
    errors: list[BaseException] = []

    def asking() -> None:
        try:
            dispatcher.ask(questions(20, about="stopped"))
        except StoppedError as error:
            errors.append(error)

    thread = threading.Thread(target=asking)
    thread.start()
    until(lambda: [note for note in notes(tmp_path) if note.batch_id])
    dispatcher.stop(StoppedError("interrupted"))
    dispatcher.close()
    thread.join(20)
    assert errors
    server.configure(batch_s=0)
    with dispatching(tmp_path, {"small": batched(server)}) as again:
        answers = again.ask([*questions(12, about="stopped"), *questions(3, about="new")])
    assert all(answer.error is None for answer in answers)
    assert batches(server) == before + 2
    assert server.stats()["samples_begun_again"] == 0
    assert len(kept(tmp_path, questions(20, about="stopped"))) == 20, "answers that nobody asks for now are kept too"


def hang_at(moment: str, here: Connection) -> None:
    """Let this process stop for good at a moment, and say that it is there."""

    def wait(*_: object) -> None:
        here.send("here")
        threading.Event().wait()

    async def wait_too(*_: object) -> str:
        wait()
        return ""

    real = BatchNotes.save
    match moment:
        case "before the id":
            BatchNotes.save = lambda self, note: wait() if note.batch_id else real(self, note)  # type: ignore[method-assign]
        case "before the upload":
            BatchServer.hand_over = wait_too  # type: ignore[method-assign]
        case _:
            BatchNotes.forget = wait  # type: ignore[method-assign]


def asking_until_killed(server: FakeServer, moment: str, folder: Path, here: Connection) -> None:
    hang_at(moment, here)
    Dispatcher({"small": batched(server)}, {}, folder).ask(questions(20, about=moment))
    threading.Event().wait()


@pytest.mark.parametrize("moment", ["before the id", "before the upload", "before it is forgotten"])
def test_a_kill_at_any_moment_pays_for_nothing_twice(tmp_path: Path, server: FakeServer, moment: str) -> None:
    before = batches(server)
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    child = context.Process(target=asking_until_killed, args=(server, moment, tmp_path, theirs))
    child.start()
    assert ours.poll(30)
    child.kill()
    child.join()
    assert len(notes(tmp_path)) == 1
    answers = ask(tmp_path, batched(server), 20, moment)
    assert all(answer.error is None for answer in answers)
    assert batches(server) == before + 1
    assert server.stats()["samples_begun_again"] == 0
    assert not notes(tmp_path)


def unconfirmed(folder: Path, server: FakeServer, about: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave a batch that the server took, and whose id could not be written down."""
    real = BatchNotes.save

    def full(self: BatchNotes, note: BatchNote) -> None:
        if note.batch_id:
            raise OSError(28, "no space left on device")
        real(self, note)

    with monkeypatch.context() as patch:
        patch.setattr(BatchNotes, "save", full)
        with pytest.raises(LedgerError, match="cannot be recorded"):
            ask(folder, batched(server), 20, about)
    assert [note.batch_id for note in notes(folder)] == [None]


@pytest.mark.parametrize("status", [401, 404])
def test_a_batch_that_nobody_may_be_asked_about_is_not_forgotten(
    tmp_path: Path, server: FakeServer, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    before = batches(server)
    unconfirmed(tmp_path, server, f"refused {status}", monkeypatch)
    server.configure(status_all=status)
    with pytest.raises(ModelUnusableError, match=f"accepts no batches: it answers {status}"):
        ask(tmp_path, batched(server), 20, f"refused {status}")
    assert len(notes(tmp_path)) == 1
    server.configure(status_all=None)
    assert all(answer.error is None for answer in ask(tmp_path, batched(server), 20, f"refused {status}"))
    assert batches(server) == before + 1
    assert not notes(tmp_path)


def test_a_batch_is_not_forgotten_while_the_server_is_down(
    tmp_path: Path, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = batches(server)
    unconfirmed(tmp_path, server, "down", monkeypatch)
    server.configure(batch_list="lost")
    down = batched(server).model_copy(update={"timeout_s": 0.2})
    with dispatching(tmp_path, {"small": down}) as dispatcher:
        early, late = (dispatcher.ask(questions(20, about="down")[part]) for part in (slice(10), slice(10, 20)))
    assert {(answer.error, answer.transient) for answer in (*early, *late)} == {("connection", True)}
    assert len(notes(tmp_path)) == 1
    server.configure(batch_list="given")
    assert all(answer.error is None for answer in ask(tmp_path, batched(server), 20, "down"))
    assert batches(server) == before + 1


def test_nothing_is_handed_over_again_before_the_server_has_said_that_it_has_it_not(
    tmp_path: Path, server: FakeServer
) -> None:
    before = batches(server)
    server.configure(batch_reply="lost", batch_list="lost")
    with dispatching(tmp_path, {"small": batched(server)}) as dispatcher:
        answers: list[Completion] = []
        thread = threading.Thread(target=lambda: answers.extend(dispatcher.ask(questions(20, about="unsure"))))
        thread.start()
        until(lambda: server.stats()["faults"].get("batch_list", 0) >= 3)
        server.configure(batch_list="given")
        thread.join(60)
    assert [answer.error for answer in answers] == [None] * 20
    assert batches(server) == before + 1


def test_a_batch_whose_last_try_was_not_confirmed_waits_for_the_next_run(tmp_path: Path, server: FakeServer) -> None:
    before = batches(server)
    server.configure(batch_reply="lost", batch_list="lost")
    short = batched(server).model_copy(update={"timeout_s": 1.0, "max_retries": 0})
    assert {answer.error for answer in ask(tmp_path, short, 20, "last")} == {"connection"}
    assert len(notes(tmp_path)) == 1
    server.configure(batch_reply="given", batch_list="given")
    assert all(answer.error is None for answer in ask(tmp_path, batched(server), 20, "last"))
    assert batches(server) == before + 1


def waiting_batch(folder: Path, server: FakeServer, about: str) -> str:
    """The id of a batch that a stopped run has left at the server, where it has ended since."""
    server.configure(batch_s=3600)
    with dispatching(folder, {"small": batched(server)}) as dispatcher:
        thread = threading.Thread(target=errors_of, args=(dispatcher, questions(20, about=about)))
        thread.start()
        (note,) = until(lambda: [note for note in notes(folder) if note.batch_id])
        dispatcher.stop(StoppedError("interrupted"))
        thread.join(60)
    server.configure(batch_s=0)
    return str(note.batch_id)


def test_answers_that_are_gone_at_the_server_are_asked_again_and_a_person_is_told(
    tmp_path: Path, server: FakeServer
) -> None:
    before = batches(server)
    server.configure(faults={"context_too_long": 0.4})
    gone = waiting_batch(tmp_path, server, "gone")
    server.configure(batch_answers_gone=(gone,))
    logged: list[str] = []
    with dispatching(tmp_path, {"small": batched(server)}) as dispatcher:
        dispatcher.log = logged.append
        answers = dispatcher.ask(questions(20, about="gone"))
    assert {answer.error for answer in answers} == {None, "context_too_long"}
    assert len(logged) == 1
    assert gone in logged[0]
    assert "paid for, again" in logged[0]
    assert batches(server) == before + 2
    lost = sum(answer.error is None for answer in answers)
    assert server.stats()["samples_begun_again"] == lost, "errors that were still there are not asked again"
    assert not notes(tmp_path)


def test_a_batch_is_not_lost_to_a_server_that_knows_no_batches_at_all(tmp_path: Path, server: FakeServer) -> None:
    before = batches(server)
    waiting_batch(tmp_path, server, "elsewhere")
    server.configure(status_all=404)
    with pytest.raises(ModelUnusableError, match="404"):
        ask(tmp_path, batched(server), 20, "elsewhere")
    server.configure(status_all=None)
    assert all(answer.error is None for answer in ask(tmp_path, batched(server), 20, "elsewhere"))
    assert batches(server) == before + 1


def asking_on_signal(server: FakeServer, moment: str, folder: Path, here: Connection) -> None:
    here.recv()
    asking_until_killed(server, moment, folder, here)


@pytest.mark.parametrize("moment", ["before the id", "before the upload", "before it is forgotten"])
def test_a_run_that_goes_on_takes_up_the_batch_of_one_that_was_killed_meanwhile(
    tmp_path: Path, server: FakeServer, moment: str
) -> None:
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    child = context.Process(target=asking_on_signal, args=(server, moment, tmp_path, theirs), daemon=True)
    child.start()
    with dispatching(tmp_path, {"small": batched(server)}) as dispatcher:
        dispatcher.ask(questions(1, about="of its own"))
        before = batches(server)
        ours.send("now")
        assert ours.poll(60)
        child.kill()
        child.join()
        answers = dispatcher.ask(questions(20, about=moment))
    assert all(answer.error is None for answer in answers)
    assert batches(server) == before + 1
    assert server.stats()["samples_begun_again"] == 0
    assert not notes(tmp_path)


def test_a_run_takes_up_the_batch_of_an_ended_run_of_its_own_process(tmp_path: Path, server: FakeServer) -> None:
    with dispatching(tmp_path, {"small": batched(server)}) as dispatcher:
        dispatcher.ask(questions(1, about="first of two"))
        before = batches(server)
        waiting_batch(tmp_path, server, "of two")
        answers = dispatcher.ask(questions(20, about="of two"))
    assert [answer.error for answer in answers] == [None] * 20
    assert batches(server) == before + 1


def test_two_runs_of_one_process_hand_the_same_questions_over_once(
    tmp_path: Path, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, seen = threading.Event(), threading.Event()
    hand_over, resume = BatchServer.hand_over, BatchLane._resume

    async def once_seen(self: BatchServer, note: BatchNote, requests: Path) -> str:
        begun.set()
        await asyncio.to_thread(seen.wait, 60)
        return await hand_over(self, note, requests)

    async def seeing(self: BatchLane, batch: Batch) -> None:
        asyncio.get_running_loop().call_soon(seen.set)
        await resume(self, batch)

    monkeypatch.setattr(BatchServer, "hand_over", once_seen)
    monkeypatch.setattr(BatchLane, "_resume", seeing)
    asked, before = questions(20, about="at once"), batches(server)
    small = {"small": batched(server)}
    with dispatching(tmp_path, small) as one, dispatching(tmp_path, small) as other:
        found: list[Completion] = []
        first = background(lambda: found.extend(one.ask(asked)))
        assert begun.wait(60)
        assert [answer.error for answer in other.ask(asked)] == [None] * 20
        first.join(60)
    assert [answer.error for answer in found] == [None] * 20
    assert batches(server) == before + 1


def test_a_batch_that_another_run_gave_up_is_not_waited_for(tmp_path: Path, server: FakeServer) -> None:
    store, asked = BatchNotes(tmp_path / "batches"), questions(6, about="given up")
    lines = [(one.key, b"{}\n") for one in asked]
    note = store.begin(server.base_url, "small", None, "/v1/chat/completions", lines)
    parent = psutil.Process(os.getppid())
    store.save(note.model_copy(update={"pid": parent.pid, "pid_started": parent.create_time()}))
    before = batches(server)
    with dispatching(tmp_path, {"small": batched(server)}) as dispatcher:
        found: list[Completion] = []
        waiting = background(lambda: found.extend(dispatcher.ask(asked)))
        until(lambda: dispatcher.counters.asked == 6)
        store_permanent(tmp_path, "small", {one.key: Completion(text="kept") for one in asked[:2]})
        assert not found
        store.forget(note)
        waiting.join(60)
    assert [answer.error for answer in found] == [None] * 6
    assert [answer.text == "kept" for answer in found] == [True] * 2 + [False] * 4
    assert batches(server) == before + 1
    assert len(server.samples()) == 4, "what that run kept is not asked again"


@pytest.mark.parametrize("batch_list", ["given", "refused"])
@pytest.mark.parametrize("batch_id", ["batch_gone", None])
def test_a_batch_that_the_server_has_forgotten_is_asked_again(
    tmp_path: Path, server: FakeServer, batch_id: str | None, batch_list: str
) -> None:
    server.configure(batch_list=batch_list)
    small = batched(server).model_copy(update={"timeout_s": 1.0})
    line = b'{"custom_id": "x"}\n'
    note = BatchNotes(tmp_path / "batches").begin(
        server.base_url, "small", None, "/v1/chat/completions", [(questions(1, about="lost")[0].key, line)]
    )
    BatchNotes(tmp_path / "batches").save(note.model_copy(update={"batch_id": batch_id}))
    answers = ask(tmp_path, small, 3, "lost")
    assert all(answer.error is None for answer in answers)
    assert not notes(tmp_path)


def test_batches_of_another_address_or_model_are_left_alone(tmp_path: Path, server: FakeServer) -> None:
    store = BatchNotes(tmp_path / "batches")
    for address, identity in (("http://127.0.0.1:1/v1", "small"), (server.base_url, "large")):
        store.begin(address, identity, None, "/v1/chat/completions", [(questions(1)[0].key, b"{}\n")])
    answers = ask(tmp_path, batched(server), 2, "question")
    assert all(answer.error is None for answer in answers)
    assert len(notes(tmp_path)) == 2


def test_a_folder_takes_the_files_that_vllm_run_batch_reads(tmp_path: Path, quick: None) -> None:
    place = tmp_path / "files"
    small = batched("http://127.0.0.1:1/v1", folder=str(place))
    with dispatching(tmp_path / "ledger", {"small": small}) as dispatcher:
        answers: list[Completion] = []
        thread = threading.Thread(target=lambda: answers.extend(dispatcher.ask(questions(5, about="folder"))))
        thread.start()
        until(lambda: place.exists() and list(place.glob("*.jsonl")))
        (file,) = place.glob("*.jsonl")
        rows = [orjson.loads(line) for line in file.read_bytes().splitlines()]
        assert all(set(row) == {"custom_id", "method", "url", "body"} for row in rows)
        assert rows[0]["body"]["model"] == "small"
        results = [_result(row["custom_id"], row["body"]["messages"][0]["content"]) for row in reversed(rows)]
        whole = b"".join(results)
        output = file.with_name(f"{file.stem}.results.jsonl")
        output.write_bytes(whole[:-20])
        asyncio.run(asyncio.sleep(0.1))
        assert not answers, "a torn file is not taken"
        output.write_bytes(whole)
        thread.join(30)
    assert [answer.text for answer in answers] == [f"Echo: folder {number}" for number in range(5)]


def _result(key: str, text: str) -> bytes:
    choice = {"message": {"role": "assistant", "content": f"Echo: {text}"}, "finish_reason": "stop"}
    response = {"status_code": 200, "request_id": "r", "body": {"choices": [choice], "usage": {}}}
    return orjson.dumps({"id": "1", "custom_id": key, "response": response, "error": None}) + b"\n"


def test_only_one_address_takes_batches(server: FakeServer) -> None:
    with pytest.raises(ValueError, match="one address"):
        OpenAIModel.model_validate(
            {"kind": "openai", "model": "m", "base_url": ["http://a/v1", "http://b/v1"], "batch": True}
        )
    assert OpenAIModel.model_validate({"kind": "openai", "model": "m", "batch": True}).batch is not None
    assert OpenAIModel.model_validate({"kind": "openai", "model": "m"}).batch is None


def test_nothing_is_handed_over_during_a_hold_and_all_of_it_afterwards(tmp_path: Path, server: FakeServer) -> None:
    before = batches(server)
    with dispatching(tmp_path, {"small": batched(server)}) as dispatcher:
        dispatcher.hold()
        found: list[Completion] = []
        waiting = threading.Thread(target=lambda: found.extend(dispatcher.ask(questions(4, about="held"))))
        waiting.start()
        until(lambda: dispatcher.counters.asked == 4)
        with pytest.raises(AssertionError):
            until(lambda: batches(server) > before, seconds=0.5)
        dispatcher.release()
        waiting.join(30)
    assert len(found) == 4
    assert batches(server) == before + 1
