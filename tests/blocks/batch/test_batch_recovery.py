"""Batches survive kills, lost replies and other runs: nothing is paid twice, and the wait continues."""

import asyncio
import multiprocessing
import threading
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from kasasagi.blocks.dispatch.batch.backends import BatchServer
from kasasagi.blocks.dispatch.batch.lane import BatchLane
from kasasagi.blocks.dispatch.batch.notes import BatchNote, BatchNotes
from kasasagi.blocks.dispatch.batch.result_lines import store_permanent
from kasasagi.blocks.dispatch.batch.splitting import Batch
from kasasagi.blocks.dispatch.dispatcher import Dispatcher, ModelUnusableError, StoppedError
from kasasagi.blocks.ledger.store import LedgerError
from kasasagi.blocks.models.llm import Completion
from tests.blocks.batch.helpers import ask, batched, batches, notes
from tests.blocks.helpers import background, dispatching, errors_of, kept, questions, until
from tests.fake_server import FakeServer


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
    assert len(kept(tmp_path, questions(20, about="stopped"))) == 20, "answers that nobody is waiting for are kept too"


def hang_at(moment: str, here: Connection) -> None:
    """Let this process stop permanently at a moment, and say that it is there."""

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
    before = batches(server)
    with store.handing_over(note.name), dispatching(tmp_path, {"small": batched(server)}) as dispatcher:
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
